"""Any source of data as a folder of `.npy` files, which are memory-mapped when they are read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aecf_jax.config import DataConfig
from aecf_jax.data import _checks, _split
from aecf_jax.data._convert import RESERVED
from aecf_jax.data._dataset import Splits
from aecf_jax.data._files import read_arrays
from aecf_jax.data._memory import gathered
from aecf_jax.data._sources import SOURCES, load_splits
from aecf_jax.errors import require
from aecf_jax.files import whole_folder

_ROWS_AT_ONCE = 16_384
_SAFE = "be names of files, without a slash or a dot in front"


class Converted(NamedTuple):
    """What a folder holds.

    Attributes:
        widths: of every modality, by name.
        rows: by part.
        label_kind: classes, labels or values.
    """

    widths: dict[str, int]
    rows: dict[str, int]
    label_kind: str


class _Table(NamedTuple):
    """All rows, as pieces that stay on disk where they are there."""

    features: Mapping[str, Sequence[np.ndarray]]
    label: np.ndarray
    present: np.ndarray
    parts: np.ndarray
    label_kind: str


def convert_data(config: DataConfig, folder: str | Path) -> Converted:
    """Returns what was written to a new folder: a `.npy` file for every modality, `label`, `present` and `split`.

    Rows are read, checked and written some thousands at a time, so that neither side has to fit in memory. Those of
    one part follow each other, in the order that they had, so that a part can be mapped. The folder is there whole,
    or not at all.

    Args:
        config: the source: a name, or a file or folder of one's own.
        folder: where it is written; it must not exist.

    Raises:
        InputError: if the source cannot be read, breaks a rule, or the folder exists.
    """
    folder = Path(folder).expanduser()
    require(not folder.exists(), "DST", "be a new folder", str(folder))
    require(folder.resolve().parent.is_dir(), "DST", "be in a folder that exists", str(folder))
    table = _of_source(config) if config.data in SOURCES else _of_file(config)
    # Files are read in the order of their names, and so are the columns of `present`.
    names = sorted(table.features)
    for name in names:
        require("/" not in name and not name.startswith("."), "modalities", _SAFE, name)
    columns = [list(table.features).index(name) for name in names]
    present = np.array(table.present[:, columns])
    order = np.argsort(table.parts, kind="stable")
    with whole_folder(folder) as part:
        for column, name in enumerate(names):
            block = _checked(name, present[:, column], nan_as_missing=config.nan_as_missing)
            _write(part / f"{name}.npy", table.features[name], order, block)
        np.save(part / "label.npy", table.label[order])
        np.save(part / "present.npy", present[order])
        np.save(part / "split.npy", table.parts[order].astype(np.int32))
    rows = {name: int((table.parts == at).sum()) for at, name in enumerate(_split.PARTS)}
    widths = {name: int(table.features[name][0].shape[1]) for name in names}
    return Converted(widths, rows, table.label_kind)


def _of_source(config: DataConfig) -> _Table:
    """Returns the rows of a named source, part after part."""
    splits: Splits = load_splits(config)
    parts = list(splits)
    return _Table(
        features={name: [part.features[name] for part in parts] for name in splits.modalities},
        label=np.concatenate([part.label for part in parts]),
        present=np.concatenate([part.present for part in parts]),
        parts=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        label_kind=splits.label_kind,
    )


def _of_file(config: DataConfig) -> _Table:
    """Returns the rows of one's own file or folder, in their order, none of them read yet."""
    arrays = read_arrays(config.data)
    name = Path(config.data).name
    require("label" in arrays, "label", f"be given in {name}", f"the arrays {', '.join(arrays)}")
    features = {name: [array] for name, array in arrays.items() if name not in RESERVED}
    require(bool(features), "data", "hold a modality's features", f"{name}, which has {', '.join(arrays)} only")
    label, kind, _ = _checks.resolved_label(arrays["label"], config.label_kind, 0)
    for modality, (array,) in features.items():
        array = _checks.number_array(modality, array)
        fits = array.ndim == 2 and len(array) == len(label)
        require(fits, modality, f"have shape ({len(label)}, width), as `label` has {len(label)} rows", array.shape)
    present = np.ones((len(label), len(features)), np.bool_)
    if "present" in arrays:
        present = _checks.bool_present(arrays["present"], len(label), tuple(features))
    return _Table(features, label, present, _parts(config, arrays, label, kind), kind)


def _parts(config: DataConfig, arrays: Mapping[str, np.ndarray], label: np.ndarray, kind: str) -> np.ndarray:
    """Returns each row's part: as the file says, else at random, with classes in proportion."""
    shares = (config.validation_fraction, config.test_fraction)
    if "split" in arrays:
        require(shares == (None, None), "validation_fraction and test_fraction", "be left out", "a file with a `split`")
        return _split.read_parts(arrays["split"], len(label))
    validation, test = (_split.DEFAULT_FRACTION if share is None else share for share in shares)
    strata = label if kind == "classes" else np.zeros(len(label), np.int32)
    return _split.random_parts(strata, validation, test, config.split_seed)


def _checked(name: str, present: np.ndarray, *, nan_as_missing: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Returns what turns some rows into those to write: float32, finite where present; NaN may mean missing."""

    def block(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(_checks.float32_rows(name, rows))
        if nan_as_missing:
            gone = np.asarray(np.isnan(rows).any(axis=1))
            present[numbers[gone]] = False
            rows = np.where(gone[:, None], np.float32(0), rows)
        bad = np.sort(numbers[present[numbers] & ~np.isfinite(rows).all(axis=1)])
        got = f"NaN or Inf in {_checks.described_rows(bad)}" if len(bad) else ""
        require(not len(bad), name, "be finite", got, "Pass --nan-as-missing to treat NaN rows as missing.")
        return rows

    return block


def _write(
    path: Path, pieces: Sequence[np.ndarray], order: np.ndarray, block: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    """Writes rows to one file, in an order that keeps pieces together, some thousands at a time."""
    shape = (sum(map(len, pieces)), pieces[0].shape[1])
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for numbers, rows in _blocks(pieces, order):
            file.write(block(rows, numbers).tobytes())


def _blocks(pieces: Sequence[np.ndarray], order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the numbers of some thousand rows, and the rows."""
    first = 0
    for piece in pieces:
        numbers = order[first : first + len(piece)]
        for start in range(0, len(piece), _ROWS_AT_ONCE):
            some = numbers[start : start + _ROWS_AT_ONCE]
            yield some, gathered(piece, some - first)
        first += len(piece)
