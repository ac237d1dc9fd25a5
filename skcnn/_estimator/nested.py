"""Nested parameters such as ``layers__0__filters``."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Self

from sklearn.base import BaseEstimator

__all__ = ["NestedParameters"]


def nested_parameters(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of the items inside a parameter.

    A layer, optimizer or initializer (any dataclass) holds its fields, and a
    list or tuple of them, or of lists of them, holds its items by their number.
    """
    for key, inner in _items(value):
        yield f"{name}__{key}", inner
        yield from nested_parameters(f"{name}__{key}", inner)


def _items(value: Any) -> list[tuple[str, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, (list, tuple)) and any(
        is_dataclass(item) or (isinstance(item, (list, tuple)) and any(map(is_dataclass, item)))
        for item in value
    ):
        return [(str(i), item) for i, item in enumerate(value)]
    return []


def replaced(value: Any, path: str, new: Any) -> Any:
    """Return a copy of `value` in which the item at `path` is replaced by `new`.

    Layers and optimizers are frozen, so everything that contains the item is created anew.

    Parameters
    ----------
    value : dataclass instance or list or tuple of them
    path : str
        Name of the item inside `value`, levels joined by two underscores.
    new : object

    Raises
    ------
    KeyError
        If there is no such item.
    """
    key, deeper, rest = path.partition("__")
    items = dict(_items(value))
    if key not in items or (deeper and not rest):
        raise KeyError(key)
    inner = replaced(items[key], rest, new) if rest else new
    if isinstance(value, (list, tuple)):
        items[key] = inner
        return type(value)(items.values())
    return replace(value, **{key: inner})


class NestedParameters(BaseEstimator):
    """``get_params`` and ``set_params`` that include parameters of layers and optimizers."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add the parameters of layers and optimizers, under names
            such as ``layers__0__filters`` and ``optimizer__momentum``.

        Returns
        -------
        dict
        """
        params = super().get_params(deep=deep)
        if deep:
            for name, value in list(params.items()):
                params.update(nested_parameters(name, value))
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, including nested ones.

        Layers and optimizers are never changed in place: setting a nested name
        replaces them, and the list that contains them, by new ones.

        Parameters
        ----------
        **params : dict
            Values by the names that `get_params` returns.

        Returns
        -------
        self
        """
        nested = {name: value for name, value in params.items() if "__" in name}
        super().set_params(**{name: params[name] for name in params if name not in nested})
        for name, value in nested.items():
            own, _, path = name.partition("__")
            try:
                setattr(self, own, replaced(getattr(self, own), path, value))
            except (AttributeError, KeyError):
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}. "
                    f"Valid parameters are: {sorted(self.get_params())}."
                ) from None
        return self
