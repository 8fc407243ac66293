"""What is written of predictions, block after block: CSV, JSON lines, a .npz file, or a folder of .npy files."""

import csv
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aecf_jax.config import AECFConfig
from aecf_jax.deploy import Prediction
from aecf_jax.errors import nearest, require
from aecf_jax.files import whole_file, whole_folder

Write = Callable[[dict[str, np.ndarray]], None]
"""Takes the columns of the next block of rows."""

_SINGULAR = {"probabilities": "probability", "values": "value", "weights": "weight"}
_COPIED_AT_ONCE = 1 << 20


def prediction_columns(output: Prediction, config: AECFConfig) -> dict[str, np.ndarray]:
    """Returns what is written of a prediction, by name.

    Classes have `probabilities` and `prediction` (the most probable); labels have `probabilities` and `prediction`
    (1 where it is at least one half); values and embeddings have `values`. All have `weights` and `entropy`.

    Args:
        output: of some rows.
        config: the model's configuration.
    """
    gate = {"weights": output.weights, "entropy": output.entropy}
    if config.task_type != "classification":
        return {"values": output.output, **gate}
    likely = output.output
    chosen = likely >= 0.5 if config.multilabel else likely.argmax(axis=1)
    return {"probabilities": likely, "prediction": chosen.astype(np.int32), **gate}


def require_output(out: Path, *, replace: bool) -> None:
    """Returns nothing; raises unless predictions may be written there.

    Args:
        out: a file of a known format, or a folder, which has no suffix.
        replace: whether a file that is there may be replaced.

    Raises:
        InputError: for another format, a file that is there, or a folder that is not.
    """
    known = list(filter(None, _FORMATS))
    require(out.suffix in _FORMATS, "out", f"end in {', '.join(known)}", str(out), nearest(out.suffix, known))
    kind = "file" if out.suffix else "folder"
    if out.exists() and not (out.suffix or _is_ours(out)):
        require(False, "out", "be a new folder", str(out), "What is there are no predictions, and is left alone.")
    require(replace or not out.exists(), "out", f"be a new {kind}", str(out), "Pass --force to replace it.")
    require(out.resolve().parent.is_dir(), "out", "be in a folder that exists", str(out))


@contextmanager
def opened_output(out: Path, rows: int, config: AECFConfig) -> Generator[Write]:
    """Yields what writes a block of predictions; the output is there, whole, when the block of code ends without error.

    Args:
        out: what `require_output` accepts.
        rows: how many there will be in all.
        config: the model's configuration.
    """
    with _FORMATS[out.suffix](out, rows, config) as write:
        yield write


def _is_ours(folder: Path) -> bool:
    """Returns whether a folder holds predictions."""
    return folder.is_dir() and (folder / "weights.npy").is_file() and (folder / "entropy.npy").is_file()


@contextmanager
def _folder(out: Path, rows: int, config: AECFConfig) -> Generator[Write]:
    """Yields what appends to one .npy file a column."""
    with whole_folder(out, replace=True) as folder:
        with ExitStack() as stack:
            yield _appender(folder, rows, stack)
        np.save(folder / "modalities.npy", np.asarray(config.modalities))


@contextmanager
def _npz(out: Path, rows: int, config: AECFConfig) -> Generator[Write]:
    """Yields what appends to one temporary .npy file a column; at the end they are packed."""
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.resolve().parent) as name:
        folder = Path(name)
        with ExitStack() as stack:
            yield _appender(folder, rows, stack)
        np.save(folder / "modalities.npy", np.asarray(config.modalities))
        with whole_file(out) as file, zipfile.ZipFile(file, "w") as archive:
            for path in sorted(folder.iterdir()):
                with path.open("rb") as column, archive.open(path.name, "w", force_zip64=True) as member:
                    shutil.copyfileobj(column, member, _COPIED_AT_ONCE)
                path.unlink()


def _appender(folder: Path, rows: int, stack: ExitStack) -> Write:
    """Returns what appends columns to files, whose headers say from the start how many rows there will be."""
    files: dict[str, BinaryIO] = {}

    def write(columns: dict[str, np.ndarray]) -> None:
        for name, array in columns.items():
            if name not in files:
                files[name] = stack.enter_context((folder / f"{name}.npy").open("wb"))
                shape = (rows, *array.shape[1:])
                header: Any = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False,
                               "shape": shape}  # fmt: skip
                np.lib.format.write_array_header_1_0(files[name], header)
            files[name].write(np.ascontiguousarray(array).data)

    return write


@contextmanager
def _text(out: Path, lines: Callable[[dict[str, np.ndarray], int], str]) -> Generator[Write]:
    """Yields what appends lines of text to a file."""
    written = 0
    with whole_file(out) as file:

        def write(columns: dict[str, np.ndarray]) -> None:
            nonlocal written
            file.write(lines(columns, written).encode())
            written += len(columns["entropy"])

        yield write


def _csv(out: Path, _rows: int, config: AECFConfig) -> Any:
    """Returns what writes a table with one line per row."""

    def lines(columns: dict[str, np.ndarray], first: int) -> str:
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        if first == 0:
            table.writerow(["row", *_headings(columns, config)])
        for index, cells in enumerate(zip(*columns.values(), strict=True), first):
            table.writerow([index, *(number for cell in cells for number in _plain(np.atleast_1d(cell)))])
        return text.getvalue()

    return _text(out, lines)


def _headings(columns: dict[str, np.ndarray], config: AECFConfig) -> list[str]:
    """Returns the headings of a table."""
    headings: list[str] = []
    for name, array in columns.items():
        parts = config.modalities if name == "weights" else range(array.shape[1]) if array.ndim == 2 else None
        headings += [name] if parts is None else [f"{_SINGULAR.get(name, name)}_{part}" for part in parts]
    return headings


def _jsonl(out: Path, _rows: int, config: AECFConfig) -> Any:
    """Returns what writes one JSON object per row."""

    def lines(columns: dict[str, np.ndarray], first: int) -> str:
        text: list[str] = []
        for index, cells in enumerate(zip(*columns.values(), strict=True), first):
            row: dict[str, Any] = {"row": index}
            for name, cell in zip(columns, cells, strict=True):
                row[name] = _plain(cell)
            row["weights"] = dict(zip(config.modalities, row["weights"], strict=True))
            text.append(json.dumps(row) + "\n")
        return "".join(text)

    return _text(out, lines)


def _plain(values: np.ndarray | np.generic) -> Any:
    """Returns numbers as Python's, float32 with the fewest digits that read back exactly."""
    if isinstance(values, np.ndarray):
        return [_plain(value) for value in values]
    return int(values) if values.dtype.kind in "iu" else float(str(values))


_FORMATS: dict[str, Callable[[Path, int, AECFConfig], Any]] = {
    ".csv": _csv, ".npz": _npz, ".jsonl": _jsonl, "": _folder,
}  # fmt: skip
