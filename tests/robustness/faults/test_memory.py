"""Too little address space, on two threads: a clear error or a finished fit."""

import sys
from collections import Counter

import pytest

from tests.robustness.faults.scripts import run, tell
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits address space"),
]

# Every trial is a forked child of one interpreter, which has not computed anything
CODE = """
import resource
from collections import Counter
from pathlib import Path

import skcnn._estimator.fitting

CHILD_SECONDS, SEED, TRIALS = {seconds}, {seed}, {trials}
clf = ScratchCNNClassifier(filters=(8, 16), batch_size=128, max_iter=1, random_state=0)
draw, outcomes = np.random.default_rng(SEED), Counter()


def used():
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def attempt(extra):
    resource.setrlimit(resource.RLIMIT_AS, (used() + extra, resource.RLIM_INFINITY))
    signal.alarm(CHILD_SECONDS)  # whose default action is death by signal 14
    with threadpool_limits(2, "blas"):
        try:
            clf.fit(X, y)
            clf.predict(X)
        except MemoryError:
            return 10
    return 11


for trial in range(TRIALS):
    extra = int(draw.uniform(0, {most} * 2**20))
    child = os.fork()
    if child == 0:
        code = 12
        try:
            code = attempt(extra)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    kind = {{10: "MemoryError", 11: "finished", -14: "hang"}}.get(code, f"exit {{code}}")
    outcomes[kind] += 1
    if code not in (10, 11):
        print(f"seed {{SEED}}, trial {{trial}}, {{extra}} bytes: {{kind}}", file=sys.stderr)
print(repr(outcomes))
"""


@pytest.mark.parametrize(("seed", "most"), [(0, 80), (1, 400)])
def test_out_of_address_space(seed, most):
    out, err, code = run(CODE.format(seed=seed, trials=60, most=most, seconds=PATIENCE // 2))
    assert code == 0, err
    outcomes = eval(out, {"Counter": Counter})
    tell(f"at most {most} MiB more, seed {seed}", outcomes)
    assert outcomes.keys() <= {"MemoryError", "finished"}, err
    assert outcomes["MemoryError"]
    assert outcomes["finished"]
