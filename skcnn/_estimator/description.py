"""Descriptions of callables for checkpoints, equal in every process."""

import hashlib
import re
from collections.abc import Mapping
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["describe"]


def describe(value: Any) -> str:
    """Describe a callable with everything it holds: arguments, attributes and closures.

    The text contains no addresses, which differ between processes. Functions
    are identified by their names, except lambdas, which are identified by their
    code.
    """
    return _Description().of(value)


class _Description:
    """A description in which every object is described once, however often it occurs."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}  # kept alive, so that no other object gets its id

    def of(self, value: Any) -> str:
        """Describe a value."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            return repr(value)
        if isinstance(value, ModuleType):
            return value.__name__
        if id(value) in self._seen:
            return "..."
        self._seen[id(value)] = value
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return f"array({value.dtype}, {value.shape}, {digest[:16]})"
        if isinstance(value, partial):
            return self._call("partial", (value.func, *value.args), value.keywords)
        if isinstance(value, Mapping):
            return self._call("dict", (), value)
        if isinstance(value, (list, tuple)):
            return self._call(type(value).__name__, value, {})
        if isinstance(value, (set, frozenset)):
            return f"{type(value).__name__}({', '.join(sorted(map(self.of, value)))})"
        if hasattr(value, "__func__"):  # a method
            return f"{self.of(value.__self__)}.{value.__func__.__name__}"
        if hasattr(value, "__qualname__"):
            return self._of_function(value)
        if hasattr(value, "__dict__"):
            return self._call(_name(type(value)), (), vars(value))
        return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(value))

    def _call(self, name: str, values: Any, named: Mapping[Any, Any]) -> str:
        parts = [self.of(value) for value in values]
        parts += [f"{key}={self.of(value)}" for key, value in named.items()]
        return f"{name}({', '.join(parts)})"

    def _of_function(self, function: Any) -> str:
        """Describe a function by its name, defaults and closure, and a lambda by its code too."""
        held = [getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)]
        for cell in getattr(function, "__closure__", None) or ():
            try:
                held.append(cell.cell_contents)
            except ValueError:  # empty
                held.append(None)
        if function.__qualname__.endswith("<lambda>"):
            code = function.__code__
            constants = [part for part in code.co_consts if not hasattr(part, "co_code")]
            told = repr((code.co_code, code.co_names, constants))
            held.append(hashlib.sha256(told.encode()).hexdigest()[:16])
        if not any(part is not None for part in held):
            return _name(function)
        return self._call(_name(function), held, {})


def _name(named: Any) -> str:
    return f"{getattr(named, '__module__', None)}.{named.__qualname__}"
