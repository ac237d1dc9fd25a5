"""Repeat trials: ``python -m tests.robustness.fuzz bad 12345``.

Other kinds are ``valid``, ``layout``, ``overlap`` and ``case '{...}'``.

Two numbers are a range of seeds; all failures of a range are printed.
"""

import json
import sys

from tests.robustness.fuzz import bad, layouts, overlaps, valid

KINDS = {"bad": bad, "valid": valid, "layout": layouts, "overlap": overlaps}


def main(kind, first, last=None):
    if kind == "case":
        cases = {first: json.loads(first)}
    else:
        seeds = range(int(first), int(last or int(first) + 1))
        cases = {f"{kind} {seed}": None for seed in seeds}
    failures = 0
    for line, case in cases.items():
        case = case or KINDS[kind].draw(int(line.split()[1]))
        problem = KINDS.get(kind, bad).run(case)
        failures += problem is not None
        if problem is not None or len(cases) == 1:
            print(f"{line}: {problem or 'holds'}\n    {json.dumps(case)}", flush=True)
    print(f"{len(cases)} trials, {failures} failures")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
