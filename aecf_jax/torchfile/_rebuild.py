"""What may stand in a PyTorch file: the accepted names, and the plain value that each becomes.

The names are looked up in the table below and nowhere else; no module is imported and nothing of the file is called.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from aecf_jax.errors import require

FILE = "PyTorch file"
_MOST_EXPANDED = 1 << 24
"""Elements of a tensor that repeats its storage: what it would need in memory is not what the file holds."""

_STORAGES: Mapping[str, Any] = {
    "DoubleStorage": np.float64, "FloatStorage": np.float32, "HalfStorage": np.float16, "BFloat16Storage": jnp.bfloat16,
    "LongStorage": np.int64, "IntStorage": np.int32, "ShortStorage": np.int16, "CharStorage": np.int8,
    "ByteStorage": np.uint8, "BoolStorage": np.bool_, "ComplexFloatStorage": np.complex64,
    "ComplexDoubleStorage": np.complex128,
}  # fmt: skip
_DTYPES: Mapping[str, Any] = {
    "float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": jnp.bfloat16, "int64": np.int64,
    "int32": np.int32, "int16": np.int16, "int8": np.int8, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
    "uint64": np.uint64, "bool": np.bool_, "complex64": np.complex64, "complex128": np.complex128,
    "float8_e4m3fn": jnp.float8_e4m3fn, "float8_e5m2": jnp.float8_e5m2, "float8_e4m3fnuz": jnp.float8_e4m3fnuz,
    "float8_e5m2fnuz": jnp.float8_e5m2fnuz,
}  # fmt: skip
_NUMPY_KINDS = "biufc"


@dataclass(frozen=True)
class Name:
    """A name that the file mentions and that is on the list; it stands for itself and does nothing."""

    text: str


@dataclass
class Inert:
    """An object of a class on the list: its class's name and what it held, without the class.

    Attributes:
        name: of the class.
        items: its attributes, or the items of a dictionary.
    """

    name: str
    items: dict[Any, Any] = field(default_factory=dict)


class Storage(NamedTuple):
    """The numbers that tensors are views of; `dtype` is None where the tensors say it."""

    content: memoryview
    dtype: Any


def storage(name: str, content: memoryview, count: int) -> Storage:
    """Returns a storage, whose content must be as long as the file says.

    Args:
        name: of its class.
        content: its bytes.
        count: of its elements.

    Raises:
        InputError: for an unknown class, or another length.
    """
    short = name.removeprefix("torch.").removeprefix("storage.")
    untyped = short == "UntypedStorage"
    require(untyped or short in _STORAGES, FILE, "hold storages of known types", name)
    dtype = None if untyped else np.dtype(_STORAGES[short])
    size = count * (1 if dtype is None else dtype.itemsize)
    rule = f"have storages of the declared sizes, here {size} bytes"
    require(len(content) == size, FILE, rule, f"{len(content)} bytes")
    return Storage(content, dtype)


def accepted(module: str, name: str) -> Name:
    """Returns a name of the list.

    Args:
        module: where the file says that it is.
        name: what it is called there.

    Raises:
        InputError: if it is on no list, whatever it is.
    """
    text = f"{module}.{name}".replace("__builtin__.", "builtins.").replace("numpy._core.", "numpy.core.")
    known = text in _CALLS or text in _VALUES or _is_inert(text)
    require(known, FILE, "hold tensors, containers, numbers and strings alone", text,
            "Nothing in the file was executed.")  # fmt: skip
    return Name(text)


def called(name: Name, arguments: tuple[Any, ...]) -> Any:
    """Returns the plain value that stands for what a name of the list, called, would be.

    Args:
        name: of the list.
        arguments: as in the file.

    Raises:
        InputError: if it is no name to be called, or the arguments are not what it takes.
    """
    if _is_inert(name.text):
        held = arguments[0] if len(arguments) == 1 and isinstance(arguments[0], dict) else {}
        return Inert(name.text, dict(held))
    require(name.text in _CALLS, FILE, "call nothing", name.text)
    return _CALLS[name.text](*arguments)


def built(value: Any, state: Any) -> Any:
    """Returns a value after what the file says of its attributes.

    Args:
        value: a placeholder, a dictionary (whose attributes are dropped), or an unfinished NumPy value.
        state: the attributes.

    Raises:
        InputError: for anything else.
    """
    if isinstance(value, Inert):
        attributes = next((part for part in state if isinstance(part, dict)), {}) if isinstance(state, tuple) else state
        require(isinstance(attributes, dict), FILE, "hold attributes in a dictionary", type(attributes).__name__)
        value.items.update(attributes)
        return value
    if isinstance(value, np.dtype) and isinstance(state, tuple):
        require(state[1] in ("<", "|", "="), FILE, "be of little-endian numbers", str(state[1]))
        return value
    if isinstance(value, _Unfilled):
        _, shape, dtype, fortran, content = state
        _check_numpy(dtype)
        value.array = np.ndarray(shape, dtype, bytes(content), order="F" if fortran else "C")
        return value.array
    require(isinstance(value, dict), FILE, "set attributes of nothing but containers", type(value).__name__)
    return value


class _Unfilled:
    """A NumPy array before its content is read."""

    array: np.ndarray | None = None


def _tensor(held: Any, offset: int, size: Any, stride: Any, *_rest: Any) -> np.ndarray:
    """A tensor, as a view of its storage."""
    return _view(held, held.dtype, offset, size, stride)


def _tensor_of_type(held: Any, offset: int, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any,
                    *_rest: Any) -> np.ndarray:  # fmt: skip
    """A tensor that says its own type."""
    return _view(held, np.dtype(_DTYPES[dtype.text.removeprefix("torch.")]), offset, size, stride)


def _view(held: Storage, dtype: Any, offset: int, size: Any, stride: Any) -> np.ndarray:
    """A view of a storage; NumPy refuses one that reaches beyond its end."""
    shape, count = tuple(map(int, size)), len(held.content) // dtype.itemsize
    elements = int(np.prod(np.array(shape, object))) if shape else 1
    require(min((offset, *shape, *stride), default=0) >= 0, FILE, "have tensors of positive sizes", f"{shape}")
    rule = "not repeat a storage into a tensor that would need far more memory than the file"
    require(elements <= max(count, _MOST_EXPANDED), FILE, rule, f"shape {shape}")
    if not elements:
        return np.zeros(shape, dtype)
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    require(last < count, FILE, "have tensors within their storages", f"element {last} of {count}")
    strides = tuple(step * dtype.itemsize for step in stride)
    return np.ndarray(shape, dtype, held.content, offset * dtype.itemsize, strides)


def _check_numpy(dtype: Any) -> None:
    """Raises unless a NumPy type is one of numbers: an array of objects would hold whatever the file says."""
    require(isinstance(dtype, np.dtype) and dtype.kind in _NUMPY_KINDS, FILE, "hold NumPy values of numbers", dtype)


def _numpy_type(code: str, *_rest: Any) -> np.dtype[Any]:
    """A NumPy type of numbers."""
    require(isinstance(code, str) and code[:1] in _NUMPY_KINDS, FILE, "hold NumPy values of numbers", str(code))
    return np.dtype(code)


def _numpy_scalar(dtype: Any, content: bytes) -> Any:
    """A NumPy number, as Python's."""
    _check_numpy(dtype)
    return np.frombuffer(content, dtype)[0].item()


def _size(value: Any) -> tuple[int, ...]:
    """A shape."""
    return tuple(map(int, value))


_VALUES = {f"torch.{name}" for name in (*_STORAGES, *_DTYPES)} | {
    "torch.storage.UntypedStorage", "torch.UntypedStorage", "builtins.dict", "builtins.list", "builtins.int",
    "builtins.float", "builtins.str", "builtins.object", "numpy.ndarray", "torch.strided",
}  # fmt: skip
"""Names that stand for themselves."""

_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda pairs=(): dict(pairs),
    "collections.defaultdict": lambda _factory=None, pairs=(): dict(pairs),
    "builtins.set": lambda items=(): set(items),
    "builtins.frozenset": lambda items=(): frozenset(items),
    "builtins.complex": lambda real, imaginary: complex(real, imaginary),
    "_codecs.encode": lambda text, _encoding="latin1": text.encode("latin1"),
    "torch.Size": _size,
    "torch.device": lambda kind, index=None: str(kind) if index is None else f"{kind}:{int(index)}",
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_type,
    "torch._utils._rebuild_parameter": lambda data, *_rest: data,
    "torch._utils._rebuild_parameter_with_state": lambda data, *_rest: data,
    "numpy.dtype": _numpy_type,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy.core.multiarray._reconstruct": lambda *_rest: _Unfilled(),
    "pathlib.PosixPath": lambda *parts: "/".join(map(str, parts)).replace("//", "/"),
    "pathlib.WindowsPath": lambda *parts: "/".join(map(str, parts)),
    "copyreg._reconstructor": lambda kind, *_rest: called(kind, ()),
    "copy_reg._reconstructor": lambda kind, *_rest: called(kind, ()),
}  # fmt: skip
"""Names that may be called, and what stands for the result."""

_INERT = {
    "argparse.Namespace", "types.SimpleNamespace", "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict", "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
}  # fmt: skip
"""Classes whose objects are kept as `Inert`: what Lightning and users of dictionaries save beside tensors."""


def _is_inert(text: str) -> bool:
    """Whether a class's objects are kept as placeholders; the configuration's module has had several names."""
    return text in _INERT or text.rpartition(".")[2] == "AECFConfig"
