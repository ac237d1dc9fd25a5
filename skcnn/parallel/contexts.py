"""Contexts that are left whole, whatever is raised, and whenever.

A signal's handler may raise between any two steps of the main thread: after
``__enter__`` has taken something and before ``with`` knows of it, and in the
midst of ``__exit__``. No Python code of that thread can be spared this, so what
is left is left once more if that did not come to its end.
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
    """Call ``work(value)`` in a context that has `value`; what it returns is returned.

    Parameters
    ----------
    context : context manager
        Its ``__exit__`` takes everything back however far ``__enter__`` or
        another ``__exit__`` has come, as often as it is called, and does not
        ask for an exception.
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

    A program's own ``np.seterr`` therefore changes nothing in it. The settings
    are such a context's (from NumPy 2 on), and ``np.errstate`` can be
    interrupted before it has set them back.
    """

    @wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return copy_context().run(with_defaults, *args, **kwargs)

    def with_defaults(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
            return function(*args, **kwargs)

    return called
