"""Whether an ONNX file may be handed to ONNX Runtime: looked at first, byte by byte.

ONNX Runtime is made for files one trusts. A file can name others on the disk and
have them read as weights, ask for operators that a plug-in brings, hold networks
inside networks that run for ever, and ask for tensors that fit no machine. None of
it has a place in a classifier of pictures, and all of it shows in the file itself:
this walks the protocol buffer (field numbers: ``onnx.proto`` of ONNX 1.18) and
refuses. It reads, never builds, and needs no package.

What it cannot see is how large the values *between* the layers get. A network from
elsewhere can still ask for much memory and time when it runs.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tumorlens.errors import ModelError, UnsafeModelError
from tumorlens.models.card import Card
from tumorlens.untrusted import printable, read_json

__all__ = ["CLASSES_KEY", "OPERATORS", "check_onnx"]

CLASSES_KEY: Final = "tumorlens.classes"
"""Key of the classes, in the order of the logits, among the metadata of an ONNX file."""

OPERATORS: Final = frozenset(
    {
        *("Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat"),
        *("Constant", "Conv", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Erf"),
        *("Exp", "Flatten", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool"),
        *("GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization"),
        *("LayerNormalization", "LeakyRelu", "Log", "MatMul", "Max", "MaxPool", "Min", "Mul"),
        *("Neg", "PRelu", "Pad", "Pow", "QLinearConv", "QLinearMatMul", "QuantizeLinear"),
        *("Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape"),
        "Resize",  # fuses the levels of a pyramid
        *("Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt"),
        *("Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where"),
    }
)
"""What a classifier of pictures is made of. Control flow (If, Loop, Scan) is not, nor is
what no network of ours needs to make large tensors of small ones (Expand, Range, Tile …)."""

_DOMAINS: Final = ("", "ai.onnx")
_MOST_FIELDS: Final = 2_000_000  # of the whole file; an honest network has some thousands
_MOST_NODES: Final = 20_000
_WIDEST: Final = 1024  # pixels of a kernel, a stride or a padding
_AMOUNTS: Final = {"Pad": (1, 1024), "Resize": (2, 16)}
"""Operators that grow a tensor by an amount: which input says it, and how far it may go."""

_EXTENTS: Final = ("kernel_shape", "strides", "pads", "dilations", "output_padding")
_FLOAT, _INT64 = 1, 7  # of TensorProto.DataType
# Bytes of one value by data type; text, complex numbers and 4-bit types are left out.
_WIDTHS: Final = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
_PAYLOADS: Final = (4, 5, 7, 10, 11)  # float, int32, int64, double, uint64 data of a TensorProto

_MOST_DIMS: Final = 8

_Bytes = int | bytes | memoryview
"""A field's value: an integer, or bytes that may be a message of their own."""


@dataclass(slots=True)
class _Graph:
    """What is gathered on the way through the file."""

    constants: dict[str, list[int]] = field(default_factory=dict)  # int64 ones with their values
    amounts: list[tuple[str, str]] = field(default_factory=list)  # operator, tensor that says it
    nodes: int = 0


@dataclass(frozen=True, slots=True)
class _Value:
    """What goes into a graph or comes out of it: a type and a shape, ``None`` where it is free."""

    kind: int
    shape: tuple[int | None, ...]


class _Reader:
    """Reads protocol buffers, counting the fields of the whole file."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._seen = 0

    def fields(self, data: _Bytes) -> Iterator[tuple[int, _Bytes]]:
        """Walk the fields of one message: its number, and an integer or bytes."""
        if isinstance(data, int):
            raise self.broken()
        position = 0
        while position < len(data):
            self._seen += 1
            if self._seen > _MOST_FIELDS:
                raise self.unsafe("it has more fields than any network")
            key, position = self._varint(data, position)
            if key >> 32:
                raise self.broken()  # other readers would drop the high bits and read on
            kind = key & 7
            if kind == 0:
                value, position = self._varint(data, position)
                yield key >> 3, value
                continue
            if kind == 2:
                size, position = self._varint(data, position)
            else:
                size = {1: 8, 5: 4}.get(kind, len(data))
            if size > len(data) - position:
                raise self.broken()
            # Nothing that is judged here is of fixed width. ONNX Runtime skips a field whose
            # width is not its own; to believe it would be to judge another network.
            if kind == 2:
                yield key >> 3, data[position : position + size]
            position += size

    def parts(self, data: _Bytes) -> dict[int, list[_Bytes]]:
        """Sort the fields of one message by number."""
        sorted_out: dict[int, list[_Bytes]] = {}
        for number, value in self.fields(data):
            sorted_out.setdefault(number, []).append(value)
        return sorted_out

    def integers(self, data: _Bytes) -> Iterator[int]:
        """Give the integers of a repeated field, packed or one alone; signed, of 64 bits."""
        if isinstance(data, int):
            yield _signed(data)
            return
        position = 0
        while position < len(data):
            value, position = self._varint(data, position)
            yield _signed(value)

    def text(self, data: _Bytes) -> str:
        if isinstance(data, int):
            raise self.broken()
        return bytes(data).decode("utf-8", "replace")

    def broken(self) -> ModelError:
        return ModelError(f"{self.source} is no ONNX file; fetch or export the model again")

    def unsafe(self, found: str) -> UnsafeModelError:
        return UnsafeModelError(f"{self.source} is not run: {found}")

    def _varint(self, data: bytes | memoryview, position: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= len(data):
                raise self.broken()
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise self.broken()


def check_onnx(content: bytes, card: Card, *, source: str) -> None:
    """Refuse an ONNX file that is not a plain network of the kind its card describes.

    Parameters
    ----------
    content
        The file.
    card
        What its input and outputs must look like.
    source
        Where it came from, for the message of an error.

    Raises
    ------
    UnsafeModelError
        When it reads other files, holds other operators than `OPERATORS`, networks
        inside the network, or tensors larger than what the file holds.
    ModelError
        When it is no ONNX file, or its input, outputs and classes are not those of the
        card. Files of before do not say their classes; nothing is compared then.
    """
    reader = _Reader(source)
    graphs = []
    for number, value in reader.fields(memoryview(content)):
        if number == 7:
            graphs.append(value)
        elif number == 14:
            _check_classes(reader, value, card)
        elif number in (20, 25):
            raise reader.unsafe("it brings functions or training steps of its own")
    if len(graphs) != 1:
        raise reader.broken()
    inputs, outputs = _check_graph(reader, graphs[0])
    _check_ends(reader, inputs, outputs, card)


def _check_classes(reader: _Reader, entry: _Bytes, card: Card) -> None:
    """Compare an entry of the metadata with the card, if it is that of the classes."""
    parts = reader.parts(entry)
    if reader.text(parts.get(1, [b""])[-1]) != CLASSES_KEY:
        return
    said = reader.text(parts.get(2, [b""])[-1])
    try:
        same = read_json(said) == list(card.classes)
    except ValueError:
        same = False
    if not same:
        raise ModelError(
            f"{reader.source} does not fit its card: the network answers for the classes "
            f"{printable(said, 500)}, in this order, the card says {json.dumps(card.classes)}; "
            "fetch or export the model again"
        )


def _check_graph(reader: _Reader, graph: _Bytes) -> tuple[dict[str, _Value], dict[str, _Value]]:
    """Look at every operator and tensor; give what goes in and what comes out."""
    seen = _Graph()
    ends: dict[int, dict[str, _Value]] = {11: {}, 12: {}}
    for number, value in reader.fields(graph):
        if number == 1:
            _check_node(reader, value, seen)
        elif number == 5:
            name, integers = _check_tensor(reader, value)
            seen.constants[name] = integers
        elif number == 15:
            raise reader.unsafe("it holds sparse tensors")
        elif number in ends:
            name, described = _read_value(reader, value)
            ends[number][name] = described
    for kind, name in seen.amounts:
        # An amount that is computed cannot be judged here, one beyond all pictures can.
        most = _AMOUNTS[kind][1]
        if not name or not _fit(seen.constants.get(name) or [-1], most):
            raise reader.unsafe(f"{kind} goes by what it computes, or beyond {most}")
    return {k: v for k, v in ends[11].items() if k not in seen.constants}, ends[12]


def _check_node(reader: _Reader, node: _Bytes, seen: _Graph) -> None:
    seen.nodes += 1
    if seen.nodes > _MOST_NODES:
        raise reader.unsafe(f"it has more than {_MOST_NODES} operators")
    parts = reader.parts(node)
    kind, domain = (reader.text(parts.get(number, [b""])[-1]) for number in (4, 7))
    if domain not in _DOMAINS or kind not in OPERATORS:
        name = f"{domain}.{kind}" if domain else kind
        raise reader.unsafe(f"the operator {name[:80]!r} is none that a classifier needs")
    for attribute in parts.get(5, []):
        integers = _check_attribute(reader, attribute)
        if kind == "Constant":
            seen.constants[reader.text(parts.get(2, [b""])[0])] = integers
    if kind == "Resize" and len(parts.get(1, [])) != 3:
        raise reader.unsafe("Resize goes by a size, or is of an operator set before 11")
    if kind in _AMOUNTS and len(inputs := parts.get(1, [])) > (which := _AMOUNTS[kind][0]):
        seen.amounts.append((kind, reader.text(inputs[which])))


def _check_attribute(reader: _Reader, attribute: _Bytes) -> list[int]:
    """Look at one attribute; give the integers that it holds."""
    name = ""
    integers: list[int] = []
    for number, value in reader.fields(attribute):
        if number == 1:
            name = reader.text(value)
        elif number in (3, 8):
            integers += reader.integers(value)
        elif number == 5:
            integers += _check_tensor(reader, value)[1]
        elif number in (6, 11):
            raise reader.unsafe("it holds a network inside the network")
        elif number in (10, 22, 23):
            raise reader.unsafe("an operator holds lists of tensors, or sparse ones")
    if name in _EXTENTS and not _fit(integers, _WIDEST):
        raise reader.unsafe(f"{name} reaches beyond {_WIDEST} pixels")
    return integers


def _check_tensor(reader: _Reader, tensor: _Bytes) -> tuple[str, list[int]]:
    """Look at one tensor; give its name, and its values rounded up when they are few."""
    parts = reader.parts(tensor)
    name = reader.text(parts.get(8, [b""])[-1])
    if 13 in parts or any(parts.get(14, [])):
        raise reader.unsafe(f"the tensor {name[:80]!r} lies in another file")
    kind = parts.get(2, [0])[-1]
    dims = [size for value in parts.get(1, []) for size in reader.integers(value)]
    if kind not in _WIDTHS or len(dims) > _MOST_DIMS or any(size < 0 for size in dims):
        raise reader.unsafe(f"the tensor {name[:80]!r} holds no numbers")
    count = math.prod(dims)
    raw = parts.get(9, [b""])[-1]
    typed = [value for number in _PAYLOADS for value in parts.get(number, [])]
    # Every number takes its width of raw bytes, or at least one byte of a typed list.
    held = sum(1 if isinstance(value, int) else len(value) for value in typed)
    if isinstance(raw, int) or (len(raw) != count * _WIDTHS[kind] if len(raw) else count > held):
        raise reader.unsafe(f"the tensor {name[:80]!r} claims {count} numbers and holds others")
    if kind not in (_FLOAT, _INT64) or count > 2 * _MOST_DIMS:
        return name, []
    if len(raw):
        values = struct.unpack(f"<{count}{'f' if kind == _FLOAT else 'q'}", raw)
        return name, [math.ceil(x) if math.isfinite(x) else -1 for x in values]
    if kind == _FLOAT:
        packed = b"".join(bytes(x) for x in parts.get(4, []) if not isinstance(x, int))
        floats = struct.unpack(f"<{len(packed) // 4}f", packed[: len(packed) // 4 * 4])
        return name, [math.ceil(x) if math.isfinite(x) else -1 for x in floats]
    return name, [x for value in typed for x in reader.integers(value)]


def _read_value(reader: _Reader, value: _Bytes) -> tuple[str, _Value]:
    """Read the name, type and shape of an input or output."""
    name, kind = "", 0
    shape: list[int | None] = []
    for number, inner in reader.fields(value):
        if number == 1:
            name = reader.text(inner)
        elif number == 2:
            for _, tensor in _only(reader, inner, 1):
                for part, described in reader.fields(tensor):
                    if part == 1 and isinstance(described, int):
                        kind = described
                    elif part == 2:
                        shape += [_size(reader, dim) for _, dim in _only(reader, described, 1)]
    return name, _Value(kind, tuple(shape))


def _check_ends(
    reader: _Reader, inputs: dict[str, _Value], outputs: dict[str, _Value], card: Card
) -> None:
    """Compare what goes in and comes out with the card."""
    if len(inputs) != 1 or not {"logits", "features"} <= outputs.keys():
        raise ModelError(
            f"{reader.source} must have one input and the outputs logits and features, it has "
            f"{sorted(inputs)} and {sorted(outputs)}"
        )
    side, channels = card.input.size, card.input.channels
    picture = (side, side, channels) if card.input.layout == "NHWC" else (channels, side, side)
    wanted: dict[str, tuple[int | None, ...]] = {
        next(iter(inputs)): (None, *picture),
        "logits": (None, len(card.classes)),
        "features": (None, None, None, None),
    }
    for name, shape in wanted.items():
        found = {**outputs, **inputs}[name]
        if found.kind != _FLOAT or not _agree(found.shape, shape):
            raise ModelError(
                f"{reader.source} does not fit its card: {name!r} is {_told(found.shape)}, the "
                f"card wants {_told(shape)} of float32; export the model again"
            )


def _only(reader: _Reader, message: _Bytes, number: int) -> Iterator[tuple[int, _Bytes]]:
    return (entry for entry in reader.fields(message) if entry[0] == number)


def _size(reader: _Reader, dim: _Bytes) -> int | None:
    """Read one extent of a shape; ``None`` where it has only a name."""
    for number, value in reader.fields(dim):
        if number == 1 and isinstance(value, int):
            return _signed(value)
    return None


def _agree(found: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    """Say whether two shapes can be the same; the number of pictures is left to the run."""
    return len(found) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(found[1:], wanted[1:], strict=True)
    )


def _told(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _fit(extents: list[int], most: int) -> bool:
    return all(0 <= value <= most for value in extents)


def _signed(value: int) -> int:
    """Read 64 bits as a signed number."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value
