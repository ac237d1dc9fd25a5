"""Exception-safe contexts, even if a signal's handler raises.

A signal's handler may raise between any two steps of the main thread: after
``__enter__`` has acquired something and before ``with`` knows of it, or in the
middle of ``__exit__``. Python code cannot prevent that, so ``__exit__`` is called
again if it did not complete.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

__all__ = ["holding", "in_own_context"]

Value = TypeVar("Value")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def holding(
    context: AbstractContextManager[Value, None], work: Callable[[Value], Result]
) -> Result:
    """Return ``work(value)``, called in a context that provides `value`.

    Parameters
    ----------
    context : context manager
        Its ``__exit__`` undoes everything, however far ``__enter__`` or an
        earlier ``__exit__`` got, may be called repeatedly, and ignores exceptions.
    work : callable
    """
    left = False
    try:
        try:
            return work(context.__enter__())
        finally:
            context.__exit__(None, None, None)
            left = True
    finally:
        if not left:
            context.__exit__(None, None, None)


def in_own_context(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Have a function run in a copy of the caller's context, with NumPy's default error settings.

    A program's own ``np.seterr`` therefore has no effect on it. From NumPy 2 on, the
    settings belong to the context; ``np.errstate`` alone can be interrupted before it
    has restored them.
    """

    @wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return copy_context().run(with_defaults, *args, **kwargs)

    def with_defaults(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*args, **kwargs)

    return called
