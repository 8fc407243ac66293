"""Files as `torch.save` writes them, made without PyTorch: a pickle assembled by hand, and storages beside it."""

import pickle
import struct
import zipfile
from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np

STORAGES = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool", "complex64": "ComplexFloat",
}  # fmt: skip
FLOAT8 = {"float8_e4m3fn", "float8_e5m2", "uint16"}


@dataclass
class Raw:
    """Instructions to be taken as they are."""

    code: bytes


@dataclass
class Tensor:
    """A tensor as a view of a storage; by default of one of its own, that it fills."""

    array: np.ndarray
    key: str = ""
    offset: int = 0
    shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    count: int | None = None
    parameter: bool = False


@dataclass
class Writer:
    """Collects storages while values are written."""

    members: dict[str, bytes] = field(default_factory=dict)

    def emit(self, value) -> bytes:
        match value:
            case Raw():
                return value.code
            case Tensor():
                return self.tensor(value)
            case np.ndarray():
                return self.tensor(Tensor(value))
            case dict():
                return b"}(" + b"".join(self.emit(k) + self.emit(v) for k, v in value.items()) + b"u"
            case list():
                return b"](" + b"".join(map(self.emit, value)) + b"e"
            case tuple():
                return b"(" + b"".join(map(self.emit, value)) + b"t"
            case _:
                return pickle.dumps(value, protocol=2)[2:-1]

    def tensor(self, tensor: Tensor) -> bytes:
        array = np.ascontiguousarray(tensor.array).reshape(np.shape(tensor.array))
        name, key = array.dtype.name, tensor.key or str(len(self.members))
        self.members.setdefault(f"data/{key}", array.tobytes())
        shape = array.shape if tensor.shape is None else tensor.shape
        strides = tensor.strides or tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        untyped = name in FLOAT8
        kind = b"ctorch.storage\nUntypedStorage\n" if untyped else f"ctorch\n{STORAGES[name]}Storage\n".encode()
        count = tensor.count if tensor.count is not None else array.nbytes if untyped else array.size
        held = b"(" + self.emit("storage") + kind + self.emit(key) + self.emit("cpu") + self.emit(count) + b"tQ"
        hooks = b"ccollections\nOrderedDict\n)R"
        last = f"ctorch\n{name}\n".encode() if untyped else b""
        function = b"ctorch._utils\n_rebuild_tensor_v%d\n" % (3 if untyped else 2)
        parts = self.emit(tensor.offset) + self.emit(tuple(shape)) + self.emit(strides) + b"\x89" + hooks + last
        made = function + b"(" + held + parts + b"tR"
        return b"ctorch._utils\n_rebuild_parameter\n(" + made + b"\x88" + hooks + b"tR" if tensor.parameter else made


def save(path, value, *, compression=zipfile.ZIP_STORED, without=(), extra=None):
    """Writes a value as PyTorch would, and returns the path."""
    writer = Writer()
    program = b"\x80\x02" + writer.emit(value) + b"."
    members = {"data.pkl": program, "byteorder": b"little", "version": b"3\n", **writer.members, **(extra or {})}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            if name not in without:
                archive.writestr(f"{path.stem}/{name}", content)
    return path


def save_program(path, program: bytes):
    """Writes a file whose pickle is exactly this."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", program)
    return path


def binunicode(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


BFLOAT16 = np.dtype(jnp.bfloat16)
