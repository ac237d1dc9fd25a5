"""Table of a network: shapes, parameters, arithmetic, memory and receptive fields."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from html import escape
from math import prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from skcnn._hyperparameters import check_int
from skcnn.architectures import with_output
from skcnn.layers import Layer
from skcnn.layers._layer import Shape
from skcnn.layers.chain import BoundLayer, Chain
from skcnn.layers.memory import Plan
from skcnn.layers.windows import TransposedWindows, Windows
from skcnn.layers.workspace import Workspace
from skcnn.network import Network

__all__ = ["LayerSummary", "Summary", "summary"]

Reach: TypeAlias = tuple[Windows | TransposedWindows, ...] | None
Field: TypeAlias = tuple[int, int] | None
"""First and last pixel that a number depends on along one axis; None for no pixel at all."""

Seen: TypeAlias = tuple[list[Field], ...]
"""The field of every number along each axis; one for all if they are the same."""


class LayerSummary(NamedTuple):
    """One layer of a network.

    Layers inside a layer have their own rows, and are not counted in its row.

    Attributes
    ----------
    layer : Layer
    name : str
        Its number; for a layer inside another, prefixed by the outer layer's
        name, as in "1.0", and "1.shortcut" or "1.shortcut.0" in the shortcut of
        a `Residual`.
    depth : int
        Depth of nesting.
    output_shape : tuple of int
        Output shape for one sample.
    parameters : int
        Number of trained parameters.
    multiply_adds : int
        Multiply-adds of the matrix products in the forward pass of one image.
    memory : int
        Bytes of the output and the scratch arrays for one sample in training; an
        output that overwrites the input takes none.
    receptive_field : tuple of int
        Height and width of the input pixels that one number of the output
        depends on.
    unused : tuple of int
        Number of rows and columns of the layer's input outside all of its windows.
    constants : int
        Number of parameters and moments that training does not change, such as
        those inside `Frozen`.
    """

    layer: Layer
    name: str
    depth: int
    output_shape: Shape
    parameters: int
    multiply_adds: int
    memory: int
    receptive_field: Shape
    unused: Shape
    constants: int


@dataclass(frozen=True, repr=False)
class Summary:
    """Summary of a network; it prints as a table.

    Attributes
    ----------
    input_shape : tuple of int
        (Channels, height, width) of an image.
    dtype : str
        Dtype that the network computes in.
    rows : tuple of LayerSummary
        The layers, including the output layer.
    parameters : int
        Number of trained parameters.
    multiply_adds : int
        Multiply-adds of the matrix products in the forward pass of one image.
    memory_per_sample : int
        Bytes that training takes for one sample. It is not the sum of the rows:
        layers share memory, and the input and the gradients are not in the
        rows.
    micro_batch_size : int
        Number of samples that go through the layers together, unless a batch is
        smaller or split in two for two threads, or scikit-learn's
        ``working_memory`` is too small.
    micro_batch_memory : int
        Bytes that training takes for a micro-batch, in each thread.
    constants : int
        Number of parameters and moments that training does not change.
    """

    input_shape: Shape
    dtype: str
    rows: tuple[LayerSummary, ...]
    parameters: int
    multiply_adds: int
    memory_per_sample: int
    micro_batch_size: int
    micro_batch_memory: int
    constants: int = 0

    @classmethod
    def of(cls, network: Network) -> "Summary":
        """Summarize a network."""
        seen: Seen = tuple(
            [(pixel, pixel) for pixel in range(size)] for size in _axes(network.input_shape)
        )
        rows, _ = _rows(
            network.chain, network.plan(), seen, [str(i) for i in range(len(network.layers))]
        )
        per_sample, size = Workspace.nbytes_per_sample(network), network.cost.micro_batch_size()
        return cls(
            network.input_shape,
            network.dtype.name,
            tuple(rows),
            network.n_parameters,
            network.multiply_adds,
            per_sample,
            size,
            per_sample * size,
            network.vector_size - network.gradient_size,
        )

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the table as columns, as for ``pandas.DataFrame(summary.to_dict())``.

        Returns
        -------
        dict of list
            "layer" and "hyperparameters" (those that are not at their defaults,
            without inner layers) hold text; the others are the attributes of
            `LayerSummary`.
        """
        columns: dict[str, list[Any]] = {
            "layer": [type(row.layer).__name__ for row in self.rows],
            "hyperparameters": [_listed(_told(row.layer)) for row in self.rows],
        }
        for name in LayerSummary._fields[1:]:
            columns[name] = [getattr(row, name) for row in self.rows]
        return columns

    def _headline(self) -> str:
        return f"Input {_times(self.input_shape)}, {self.dtype}"

    def _cells(self) -> list[tuple[str, ...]]:
        """Return the table as text: header, layers, totals."""
        header = ("", "layer", "output", "parameters", "multiply-adds", "memory", "field", "unused")
        rows = [
            (
                row.name,
                "  " * row.depth + _call(row.layer),
                _times(row.output_shape),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                _bytes(row.memory),
                _times(row.receptive_field),
                _times(row.unused) if any(row.unused) else "",
            )
            for row in self.rows
        ]
        totals = ("", "total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", "", "", "")
        table: list[tuple[str, ...]] = [header, *rows, totals]
        if self.constants:
            column = ["constants", *(f"{row.constants:,}" for row in self.rows)]
            column.append(f"{self.constants:,}")
            table = [(*row[:4], cell, *row[4:]) for row, cell in zip(table, column, strict=True)]
        return table

    def _footline(self) -> str:
        line = f"Training takes {_bytes(self.memory_per_sample)} a sample"
        if self.micro_batch_size == 1:
            return f"{line}, one sample at a time."
        return (
            f"{line}, {_bytes(self.micro_batch_memory)} a micro-batch of {self.micro_batch_size}."
        )

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        left = {1, 2} | ({0} if any(row.depth for row in self.rows) else set())
        lines = [
            "  ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in cells
        ]
        rule = "-" * max(map(len, lines))
        header, *rows, totals = lines
        table = [rule, header, rule, *rows, rule, totals, rule]
        return "\n".join([self._headline(), *table, self._footline()])

    def _repr_html_(self) -> str:
        """Return the table for notebooks."""
        header, *rows = self._cells()

        def line(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        return "\n".join(
            [
                f"<table><caption>{escape(self._headline())}</caption>",
                f"<thead>{line('th', header)}</thead>",
                "<tbody>",
                *(line("td", row) for row in rows),
                f"</tbody></table><p>{escape(self._footline())}</p>",
            ]
        )


def summary(
    layers: Sequence[Layer],
    image_shape: tuple[int, ...],
    n_classes: int,
    *,
    dtype: Any = np.float32,
) -> Summary:
    """Summarize a network before it is fitted.

    Parameters
    ----------
    layers : list of Layer
        As in `ScratchCNNClassifier`, without the output layer, which is added
        as in ``fit``.
    image_shape : tuple of int
        (Channels, height, width), or (height, width) for one channel, or
        (length,) for a signal.
    n_classes : int
        Number of classes, at least 2.
    dtype : dtype, default=numpy.float32
        Dtype that the network computes in, ``float32`` or ``float64``.

    Returns
    -------
    Summary
        One row per layer: its output shape, parameters, multiply-adds, memory,
        receptive field ("field", height and width in pixels of the image), and
        the number of rows and columns of its input outside all windows
        ("unused").

    Raises
    ------
    ValueError
        If a parameter is not allowed, or the layers do not fit the images.

    Notes
    -----
    The receptive field is that of the textbook recursion, ``r += (k - 1) j``
    and ``j *= s`` for windows of ``k`` at stride ``s``, cut off at the borders
    of the image.

    Examples
    --------
    >>> from skcnn.layers import Conv2d, MaxPool2d, ReLU
    >>> table = summary([Conv2d(6, 5, stride=2), ReLU(), MaxPool2d(2)], (28, 28), 10)
    >>> table.parameters, table.multiply_adds
    (2326, 23760)
    >>> table.rows[0].output_shape, table.rows[0].receptive_field, table.rows[0].unused
    ((6, 12, 12), (5, 5), (1, 1))

    ``print(table)``, or the table itself in a notebook, shows all layers.
    """
    if not isinstance(layers, (list, tuple)):
        raise ValueError(
            f"summary: layers must be a list of instances from skcnn.layers, got {layers!r}."
        )
    if (
        not isinstance(image_shape, (list, tuple, np.ndarray))
        or getattr(image_shape, "ndim", 1) != 1
        or len(image_shape) not in (1, 2, 3)
    ):
        raise ValueError(
            "summary: image_shape must be a tuple (length,), (height, width) or (channels, height, "
            f"width), got {image_shape!r}."
        )
    sizes = [check_int("summary", f"image_shape[{i}]", n, 1) for i, n in enumerate(image_shape)]
    shape = (1, 1, *sizes)[-3:]
    check_int("summary", "n_classes", n_classes, 2)
    output_shape = Network(layers, shape).output_shape
    return Summary.of(Network(with_output(layers, output_shape, n_classes), shape, dtype))


def _rows(
    chain: Chain,
    plan: Plan,
    seen: Seen,
    names: Sequence[str],
    depth: int = 0,
    trained: bool = True,
) -> tuple[list[LayerSummary], Seen]:
    """Return the rows of a chain's layers, and the fields of its output.

    Parameters
    ----------
    chain : Chain
    plan : Plan
        Plan of its memory, in training.
    seen : tuple of list
        Fields of its input.
    names : sequence of str
        One per layer.
    depth : int, default=0
        Depth of nesting.
    trained : bool, default=True
        Whether none of the layers around them is `Frozen`.
    """
    rows: list[LayerSummary] = []
    memory = chain.nbytes_of_layers(plan)
    for i, bound in enumerate(chain.bound):
        layer, before, after = bound.layer, bound.input_shape, bound.output_shape
        inner: list[LayerSummary] = []
        reach: Reach = None
        if bound.branches:
            inner, seen = _rows_inside(
                bound, plan.branches[i], seen, names[i], depth + 1, trained and layer.trains
            )
            memory[i] = prod(after) * plan.dtype.itemsize
        else:
            reach = layer.reach(before)
            seen = _seen(seen, reach)
        parameters = sum(map(prod, bound.param_shapes.values()))
        constants = sum(map(prod, bound.constant_shapes.values()))
        if not trained:
            constants += parameters + sum(map(prod, bound.state_shapes.values()))
            parameters = 0
        rows.append(
            LayerSummary(
                layer,
                names[i],
                depth,
                after,
                parameters - sum(row.parameters for row in inner),
                bound.multiply_adds - sum(row.multiply_adds for row in inner),
                memory[i],
                tuple(max(map(_extent, axis)) for axis in seen),
                _unused(reach, before, len(seen)),
                constants - sum(row.constants for row in inner),
            )
        )
        rows += inner
    return rows, seen


def _rows_inside(
    bound: BoundLayer, plans: Sequence[Plan], seen: Seen, name: str, depth: int, trained: bool
) -> tuple[list[LayerSummary], Seen]:
    """Return the rows of the layers in all branches, and the fields of the joined output."""
    rows: list[LayerSummary] = []
    sees = []
    for branch, chain, plan in zip(bound.layer.inner, bound.branches, plans, strict=True):
        names = [f"{name}.{inner}" for inner in branch.names]
        found, after = _rows(chain, plan, seen, names, depth, trained)
        rows += found
        sees.append(after)
    return rows, tuple(_joined(axes) for axes in zip(*sees, strict=True))


def _joined(axes: Sequence[list[Field]]) -> list[Field]:
    """The fields along an axis where several branches come together."""
    if len(set(map(len, axes))) > 1:  # behind a dense layer, or a normalized sample, all have one
        return [_union([field for axis in axes for field in axis])]
    return [_union(list(fields)) for fields in zip(*axes, strict=True)]


def _axes(shape: Shape) -> Shape:
    """Return the sizes of axes with windows: height and width, or the features."""
    return shape[1:] if len(shape) == 3 else shape


def _seen(fields: Seen, reach: Reach) -> Seen:
    """Compute the receptive field after a layer from the one before it, along every axis."""
    if reach is None:
        return fields
    if [along.size for along in reach] != [len(axis) for axis in fields]:
        # a dense layer sees a whole image; after one, all units have the same field
        reach = tuple(Windows(len(axis), len(axis)) for axis in fields)
    return tuple(
        [_union([axis[q] for q in along.pixels(p)]) for p in range(along.positions)]
        for axis, along in zip(fields, reach, strict=True)
    )


def _union(fields: list[Field]) -> Field:
    some = [field for field in fields if field is not None]
    if not some:
        return None
    return min(first for first, _ in some), max(last for _, last in some)


def _extent(field: Field) -> int:
    return 0 if field is None else field[1] - field[0] + 1


def _unused(reach: Reach, shape: Shape, n_axes: int) -> Shape:
    axes = _axes(shape)
    if reach is None or len(axes) != n_axes:
        return (0,) * n_axes
    return tuple(along.unused for along in reach)


def _listed(hyperparameters: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in hyperparameters.items())


def _told(layer: Layer) -> dict[str, Any]:
    """Hyperparameters that are not at their defaults, without inner layers, which have rows."""
    return {} if layer.inner else layer.hyperparameters()


def _call(layer: Layer) -> str:
    """Format the call that constructs the layer, without the names of required arguments."""
    required = {
        field.name
        for field in fields(layer)  # type: ignore[arg-type]
        if field.default is MISSING
    }
    told = _told(layer)
    unnamed = [repr(told.pop(name)) for name in list(told) if name in required]
    return f"{type(layer).__name__}({', '.join([*unnamed, *filter(None, [_listed(told)])])})"


def _times(sizes: Shape) -> str:
    return "x".join(map(str, sizes))


def _bytes(number: int) -> str:
    """Format a number of bytes, in powers of 1024."""
    size, units = float(number), ["B", "KiB", "MiB", "GiB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{number} B" if units[0] == "B" else f"{size:.1f} {units[0]}"
