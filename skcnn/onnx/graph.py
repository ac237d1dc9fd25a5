"""Nodes and constants of an ONNX graph, in the order of computation."""

from collections.abc import Callable
from itertools import count
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Graph", "Operand", "element_type", "import_onnx"]

Operand: TypeAlias = str | float | list[int] | np.ndarray
"""Input of a node: a name, a number of the network's dtype, integers, or an array as it is."""


def import_onnx() -> Any:
    """Return the package onnx, or raise an error that tells how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('skcnn.onnx needs the package onnx: pip install "skcnn[onnx]"') from error
    return onnx


def element_type(dtype: Any) -> int:
    """Return ONNX's element type of a NumPy dtype, in either byte order."""
    return import_onnx().helper.np_dtype_to_tensor_dtype(np.dtype(dtype).newbyteorder("="))


class Graph:
    """Nodes and constants, named as they are added.

    All operators used have the same meaning in every operator set from 13 on.

    Parameters
    ----------
    dtype : dtype
        Dtype of the network's computation, and of numbers.
    name : callable, default=None
        Returns a new name for a suggestion; None numbers them.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
    constants : list of onnx.TensorProto
    """

    def __init__(self, dtype: np.dtype, name: Callable[[str], str] | None = None) -> None:
        self.onnx, self.dtype = import_onnx(), np.dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        numbers = count()
        self._name = name or (lambda suggested: f"{suggested}_{next(numbers)}")

    @property
    def single(self) -> bool:
        """Whether the network computes in float32, for which ONNX Runtime has every operator.

        In float64 it lacks convolutions and means of windows.
        """
        return self.dtype == np.float32

    def add(self, op: str, *operands: Operand, output: str | None = None, **attributes: Any) -> str:
        """Add a node, and return the name of its result, which is `output` if given."""
        result = output or self._name(op.lower())
        inputs = [self._input(operand) for operand in operands]
        node = self.onnx.helper.make_node(op, inputs, [result], self._name(op), **attributes)
        self.nodes.append(node)
        return result

    def cast(self, x: str, dtype: Any, output: str | None = None) -> str:
        """Add the conversion to another dtype."""
        return self.add("Cast", x, output=output, to=element_type(dtype))

    def finite(self, x: str, dtype: Any) -> str:
        """Add a replacement of NaN by 0 and infinities by the largest numbers."""
        limits = np.finfo(dtype)
        numbers = self.add("Where", self.add("IsNaN", x), np.zeros((), dtype), x)
        return self.add("Clip", numbers, np.array(limits.min), np.array(limits.max))

    def _input(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return operand
        array = np.array(operand, self.dtype) if isinstance(operand, float) else np.asarray(operand)
        name = self._name("constant")
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name
