"""Files and functions that `X` passes before the first matrix product of ``fit`` and ``predict``.

    python benchmarks/call_path.py
    git archive COMMIT | tar x -C FOLDER && PYTHONPATH=FOLDER python benchmarks/call_path.py

The second form measures an older commit. A function counts if `X`, or a view of it, is among its
arguments or within reach of one: in an object of the package, a tuple, a partial or a closure.
"""

import os
import sys
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # all in the calling thread, the only one that is followed
if not os.environ.get("PYTHONPATH"):
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from sklearn.datasets import load_digits

import skcnn
from skcnn import ScratchCNNClassifier

PACKAGE = Path(skcnn.__file__).parent
DEPTH = 3
"""Steps from an argument within which `X` is looked for."""


def reaches(value, X, depth=DEPTH):
    """Whether `X` can be reached from a value."""
    if isinstance(value, np.ndarray):
        return value.dtype != object and value.size > 0 and np.may_share_memory(value, X)
    if isinstance(value, tuple):
        parts = value
    elif isinstance(value, partial):
        parts = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, MethodType):
        parts = [value.__self__]
    elif isinstance(value, FunctionType):
        parts = [cell.cell_contents for cell in value.__closure__ or () if cell != type(cell)()]
    elif type(value).__module__.startswith("skcnn"):
        parts = getattr(value, "__dict__", {}).values()
    else:
        return False
    return depth > 0 and any(reaches(part, X, depth - 1) for part in list(parts))


def follow(run, X):
    """Return the calls that `X` passes, and those under way at the first product."""
    passed, stack = [], []

    def profile(frame, event, arg):
        file = Path(frame.f_code.co_filename)
        if stack or event != "call" or PACKAGE not in file.parents:
            return
        sys.setprofile(None)
        code = frame.f_code
        if code.co_qualname == "Conv2d.forward":
            while frame := frame.f_back:
                if PACKAGE in Path(frame.f_code.co_filename).parents:
                    stack.append(call(frame.f_code))
        else:
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if any(reaches(frame.f_locals.get(name), X) for name in names):
                passed.append(call(code))
        sys.setprofile(profile)

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return passed, stack[::-1]


def call(code):
    """File and name of a function."""
    return str(Path(code.co_filename).relative_to(PACKAGE)), code.co_qualname


def main():
    """Print the figures of `fit` and `predict`."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].copy(), y[:200]
    fitted = ScratchCNNClassifier(max_iter=1, random_state=0).fit(X, y)
    for name, run in {
        "fit": lambda: ScratchCNNClassifier(max_iter=1, random_state=0).fit(X, y),
        "predict": lambda: fitted.predict(X),
    }.items():
        passed, stack = follow(run, X)
        functions = list(dict.fromkeys(passed))
        files = list(dict.fromkeys(file for file, _ in functions))
        print(
            f"{name}: X passes {len(files)} files, {len(functions)} functions and {len(passed)} "
            f"calls; {len(stack)} calls are under way at the first product"
        )
        for file in files:
            print(f"  {file}: {', '.join(name for where, name in functions if where == file)}")


if __name__ == "__main__":
    main()
