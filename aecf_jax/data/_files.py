"""Arrays by name from the user's files: .npz, .safetensors, .pt, or a folder of memory-mapped .npy files."""

import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from aecf_jax.errors import InputError, import_extra, require
from aecf_jax.torchfile import read_torch_file

Arrays = TypeVar("Arrays")

_DAMAGE = (OSError, ValueError, TypeError, EOFError, KeyError, RuntimeError, MemoryError, OverflowError, SyntaxError,
           tokenize.TokenError, zipfile.BadZipFile, zlib.error)  # fmt: skip
"""What NumPy and zipfile raise at a file that is damaged, cut short, encrypted or of another kind."""

_CACHE_NAMES = {"img": "image", "txt": "text", "y": "label", "labels": "label"}
"""What PyTorch users' feature caches call their tensors -> what they are called here."""

_OBJECTS = ("Object arrays", "Python objects in dtype")
"""What NumPy says of an array of Python objects."""


def read_arrays(path: str | Path, *, writable: bool = False) -> dict[str, np.ndarray]:
    """Returns the arrays of a file or folder by name: in the file's order for .npz, else in the order of their names.

    Nothing is unpickled. The files of a folder are memory-mapped.

    Args:
        path: a .npz, .safetensors or .pt file, or a folder of .npy files.
        writable: map a folder's files copy-on-write, so that rows can be changed in memory; files never change.

    Raises:
        InputError: if the path does not exist, is of another kind, damaged, or holds Python objects.
    """
    path = Path(path).expanduser()
    require(path.exists(), "data", "be a file or folder that exists", str(path))
    if path.is_dir():
        arrays = _read_folder(path, "c" if writable else "r")
    else:
        readers = {".npz": _read_npz, ".safetensors": _read_safetensors, ".pt": _read_cache, ".pth": _read_cache}
        known = path.suffix in readers
        require(known, "data", "be a .npz, .safetensors or .pt file, or a folder of .npy files", str(path))
        arrays = _guarded(path, readers[path.suffix])
    require(len(arrays) > 0, "data", "hold arrays", f"{path}, which has none")
    return arrays


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a .npz file."""
    # Asked first, since NumPy takes whatever is not a zip archive for a pickle.
    if not zipfile.is_zipfile(path):
        raise zipfile.BadZipFile("no zip archive")
    # Opened here, since NumPy leaves a file open whose zip directory it cannot read.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    for name, array in arrays.items():
        require(isinstance(array, np.ndarray), "data", "hold arrays only", f"{path}, where {name} is another file")
    return arrays


def _read_folder(path: Path, mode: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a folder's .npy files, memory-mapped."""

    def mapped(file: Path) -> np.ndarray:
        return np.load(file, mmap_mode=mode, allow_pickle=False)  # pyright: ignore[reportArgumentType]

    files = sorted(file for file in path.glob("*.npy") if not file.name.startswith("."))
    return {file.stem: _guarded(file, mapped) for file in files}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a .safetensors file."""
    safetensors = import_extra("safetensors", "data")
    try:
        with safetensors.safe_open(path, framework="numpy") as opened:
            return {name: opened.get_tensor(name) for name in sorted(opened.keys())}
    except (safetensors.SafetensorError, TypeError) as error:
        raise ValueError(str(error)) from error


def _read_cache(path: Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a PyTorch feature cache, memory-mapped, under the names that they have here."""
    content = read_torch_file(path)
    require(isinstance(content, dict), "data", "hold a dictionary of tensors", f"{path}, a {type(content).__name__}")
    for name, value in content.items():
        array = isinstance(value, np.ndarray)
        require(array, "data", "hold tensors only", f"{path}, where {name} is a {type(value).__name__}")
    taken = {_CACHE_NAMES.get(str(name), str(name)): value for name, value in content.items()}
    require(len(taken) == len(content), "data", "name every array once", f"{path}, with {', '.join(map(str, content))}")
    return taken


def _guarded(path: Path, read: Callable[[Path], Arrays]) -> Arrays:
    """Returns what `read` returns, with whatever it raises at a bad file as one sentence that names the file."""
    try:
        return read(path)
    except InputError:
        raise
    except _DAMAGE as error:
        text = str(error)
        if any(said in text for said in _OBJECTS):
            require(False, "data", "hold numbers; Python objects are never unpickled", str(path))
        # NumPy takes a .npy file without a header for a pickle; its advice to unpickle is not for passing on.
        why = "no header" if "pickle" in text else f"{type(error).__name__}: {text}".rstrip(": .")
        require(False, "data", f"be a readable {path.suffix} file", f"{path}, damaged or of another kind ({why})")
        raise
