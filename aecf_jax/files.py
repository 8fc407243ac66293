"""Files that are there whole or not at all. The standard library alone."""

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from aecf_jax.errors import InputError, message, require


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """Yields a new file that becomes `path` when the block ends without an error, and is deleted when it does not.

    Args:
        path: the file; its folder must exist.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes a file so that a reader sees all of it or what was there before; a failed write leaves nothing behind.

    Args:
        path: the file; its folder must exist.
        content: all of it.
    """
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Generator[Path]:
    """Yields a new folder that becomes `path` when the block ends without an error, and is deleted when it does not.

    Args:
        path: the folder; the one it stands in must exist.
        replace: whether to take the place of a folder that is there, which is kept until the new one is whole.
    """
    path = path.resolve()
    part, old = (path.with_name(f".{path.name}.{os.getpid()}.{what}") for what in ("part", "old"))
    part.mkdir()
    try:
        yield part
        if replace and path.exists():
            path.rename(old)
        part.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole; numbers read back exactly, and what JSON cannot hold is an error.

    Args:
        path: the file; its folder must exist.
        content: dictionaries, lists, numbers, strings.
    """
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path, hint: str = "") -> dict[str, Any]:
    """Returns the dictionary in a JSON file.

    Args:
        path: the file.
        hint: what to say where there is no such file.

    Raises:
        InputError: if the file is not there or damaged.
    """
    require(path.is_file(), str(path), "exist", "no such file", hint)
    try:
        loaded: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(message(str(path), "be readable JSON", str(error))) from error
    require(isinstance(loaded, dict), str(path), "hold a dictionary", type(loaded).__name__)
    return loaded
