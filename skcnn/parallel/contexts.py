"""Contexts that are left whole, whatever is raised, and whenever.

A signal's handler may raise between any two steps of the main thread: after
``__enter__`` has taken something and before ``with`` knows of it, and in the
midst of ``__exit__``. No Python code of that thread can be spared this, so what
is left is left once more if that did not come to its end.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial, wraps
from typing import Any, TypeVar

__all__ = ["holding", "in_own_context"]

Value = TypeVar("Value")
Result = TypeVar("Result")


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


def in_own_context(method: Callable[..., Result]) -> Callable[..., Result]:
    """Have a method run in a copy of the caller's context.

    NumPy's settings of errors are such a context's (from NumPy 2 on), and
    ``np.errstate`` can be interrupted before it has set them back.
    """

    @wraps(method)
    def called(*args: Any, **kwargs: Any) -> Result:
        return copy_context().run(partial(method, *args, **kwargs))

    return called
