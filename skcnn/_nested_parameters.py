"""Names such as ``layers__0__filters`` for the fields of values in parameters."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

__all__ = ["nested_parameters", "replaced"]


def nested_parameters(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of what lies inside a parameter.

    A layer, optimizer or initializer (any dataclass) holds its fields, and a
    list or tuple of them holds its items by their number.
    """
    for key, inner in _items(value):
        yield f"{name}__{key}", inner
        yield from nested_parameters(f"{name}__{key}", inner)


def _items(value: Any) -> list[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, (list, tuple)) and any(is_dataclass(item) for item in value):
        return [(str(i), item) for i, item in enumerate(value)]
    return []


def replaced(value: Any, path: str, new: Any) -> Any:
    """A copy of `value` in which the item at `path` is `new`.

    Layers and optimizers are frozen: what lies around the item is made anew.

    Parameters
    ----------
    value : dataclass instance or list or tuple of them
    path : str
        Name of the item inside `value`, levels joined by two underscores.
    new : object

    Raises
    ------
    KeyError
        Where there is no such item.
    """
    key, _, rest = path.partition("__")
    items = dict(_items(value))
    if key not in items:
        raise KeyError(key)
    inner = replaced(items[key], rest, new) if rest else new
    if isinstance(value, (list, tuple)):
        items[key] = inner
        return type(value)(items.values())
    return replace(value, **{key: inner})
