"""Write the tables of speed into README.md and docs/performance.md from stored runs.

    python -m benchmarks.merge             # all runs in benchmarks/results
    python -m benchmarks.merge FILE ...

README.md gets the ranges over all machines, docs/performance.md every run. Both are against
the better one of PyTorch's layouts; a figure in brackets is against the usual layout alone,
from a run that did not measure the other.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import BETTER, PLAIN, bounds, read

BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"

AGAINST = BETTER, "skorch"
"""Contenders in the table of README.md."""

ROOT = Path(__file__).parents[1]

Run = dict[str, Any]


def _works(pattern: str, *sizes: int) -> list[str]:
    return [f"{pattern}, batch {size}" for size in sizes]


ROWS: dict[str, list[str]] = {
    "train LeNet, batches of 32 / 128": _works("fit LeNet", 32, 128),
    "– for three epochs of 60,000 images": _works("long fit LeNet", 32, 128),
    "train a small CNN (8 filters, 64 units)": _works("fit simple_cnn", 32, 128),
    "– for three epochs of 60,000 images ": _works("long fit simple_cnn", 32, 128),
    "train two blocks on 8 × 8 digits": _works("fit two blocks", 32, 128),
    "– for three epochs of 60,000 images  ": _works("long fit two blocks", 32, 128),
    "train 32 and 64 filters on 28 × 28, batches of 128": _works("fit conv32-conv64", 128),
    "– for three epochs of 5,003 images": _works("long fit conv32-conv64", 128),
    "train a VGG-like net on 3 × 32 × 32, batches of 128": _works("fit VGG-like", 128),
    "– for three epochs of 5,003 images ": _works("long fit VGG-like", 128),
    "train the default network on 28 × 28, batches of 128, for three epochs": _works(
        "long fit untouched", 128
    ),
    "predict with LeNet, batches of 1 / 32 / 512": _works("predict LeNet", 1, 32, 512),
    "`GridSearchCV` from a cold start, 3 × 3 grid, 3 folds, two jobs": [
        "search digits, 3 x 3 x 3, cold"
    ],
}
"""Tasks in each row of the tables; trailing spaces keep names apart."""


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"


def _range(found: Sequence[tuple[float, float]]) -> str:
    """Format the range of some bounds; "–" if there are none."""
    if not found:
        return "–"
    low, high = _number(min(a for a, _ in found)), _number(max(b for _, b in found))
    return low if low == high else f"{low}–{high}"


def _cell(runs: Sequence[Run], works: Sequence[str], against: str) -> str:
    """Format the ranges of some tasks; one "–" if no run has any of them."""
    ranges = []
    for work in works:
        known = [bounds(run, work, against) for run in runs]
        ranges.append(_range([ends for ends in known if ends is not None]))
    return " / ".join(ranges) if set(ranges) != {"–"} else "–"


def _name(run: Run) -> str:
    return run["machine"]["name"]


def readme(runs: Sequence[Run]) -> str:
    """Return the block for README.md: ranges over the machines."""
    lines = []
    for name, works in ROWS.items():
        cells = [_cell(runs, works, against) for against in AGAINST]
        if set(cells) != {"–"}:
            lines.append(f"| {name.strip()} | {cells[0]} | {cells[1]} |")
    tasks = [(work, against) for works in ROWS.values() for work in works for against in AGAINST]
    shown = [run for run in runs if any(bounds(run, *task) for task in tasks)]
    return "\n".join([
        "Throughput on two cores in float32, relative to PyTorch on two threads, in the better of",
        "its layouts, and to skorch: ranges over the machines. Above 1, skcnn is faster:",
        "",
        "| | PyTorch | skorch |",
        "| --- | --- | --- |",
        *lines,
        "",
        f"Machines: {'; '.join(map(_name, shown))}. {_earlier(shown)}Measured by",
        "`python -m benchmarks`; [Performance](docs/performance.md) has each machine's figures.",
    ])  # fmt: skip


def _earlier(runs: Sequence[Run]) -> str:
    """Say which figures are of earlier versions."""
    old = [_name(run) for run in runs if "source" in run]
    if not old:
        return ""
    return "All are from earlier versions. " if len(old) == len(runs) else (
        f"Those of {' and '.join(old)} are from earlier versions. "
    )  # fmt: skip


def performance(runs: Sequence[Run]) -> str:
    """Return the block for docs/performance.md: every run."""
    lines = [
        "| | " + " | ".join(map(_name, runs)) + " |",
        "| --- |" + " --- |" * len(runs),
    ]
    for name, works in ROWS.items():
        cells = []
        for run in runs:
            cell = _cell([run], works, BETTER)
            plain = _cell([run], works, PLAIN)
            cells.append(f"({plain})" if cell == "–" and plain != "–" else cell)
        if set(cells) != {"–"}:
            lines.append(f"| {name.strip()} | " + " | ".join(cells) + " |")
    lines.append("")
    for run in runs:
        about = run["machine"]
        parts = [about["cpu"]] + ([f"{about['cores']} cores"] if about["cores"] else [])
        parts += [f"OpenBLAS for {blas['architecture']}" for blas in about["blas"]]
        parts += [f"{package} {number}" for package, number in run["versions"].items() if number]
        parts += [f"commit {run['commit']}"] if run["commit"] else []
        said = [run[key] for key in ("source", "remark") if key in run]
        lines.append(
            f"- {_name(run)}, {run['date']}: {' '.join([', '.join(map(str, parts)) + '.', *said])}"
        )
    return "\n".join(lines)


def replaced(text: str, block: str) -> str:
    """Return a page with another block between the markers."""
    before, _, rest = text.partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise ValueError(f"The page has no lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


PAGES = {"README.md": readme, "docs/performance.md": performance}
"""Functions that write the block of each page."""


def main() -> None:
    """Write both pages."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.merge",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="*", help="stored runs; default: all")
    runs = read(parser.parse_args().files or None)
    for name, block in PAGES.items():
        page = ROOT / name
        page.write_text(replaced(page.read_text("utf-8"), block(runs)), encoding="utf-8")
        print(f"Written: {page}")


if __name__ == "__main__":
    main()
