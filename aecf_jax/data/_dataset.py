"""Rows of features by modality, with their labels and what was observed: checked once, when they are made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from aecf_jax.data import _checks
from aecf_jax.data._memory import gathered
from aecf_jax.errors import nearest, require, require_type

Part = Literal["all", "train", "validation", "test"]
LabelKind = Literal["auto", "classes", "labels", "values", "none"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of a data set.

    Float features of another precision become float32, integer labels int32, numbers 0 and 1 in `present` booleans.
    What is absent may hold anything, NaN included: it is never read.

    Attributes:
        features: by modality name, `(rows, width)` float32; may be memory-mapped. The order of names is the order of
            `modalities`, and of the columns of `present`.
        label: classes `(rows,)` int32; labels of 0 and 1, or values, `(rows, columns)` float32; `(rows, 0)` for none.
        present: True where a modality was observed, `(rows, modality)`.
        part: which part of the data these rows are; constants are never fitted on "validation" or "test".
        name: what the data is called.
        label_kind: classes, labels, values or none; given as "auto", it is read from the labels.
        num_classes: number of classes, labels or values; given as 0, it is read from the labels.

    Raises:
        InputError: if rows or shapes disagree, a present value is not finite, a label is out of range, or there is no
            row; naming the modality and the first offending rows.

    >>> import numpy as np
    >>> rows = Dataset({"image": np.ones((2, 3))}, np.array([0, 4]), np.ones((2, 1), bool))
    >>> rows.modalities, rows.widths, rows.label_kind, rows.num_classes, len(rows)
    (('image',), (3,), 'classes', 5, 2)
    >>> Dataset({"image": np.full((2, 3), np.nan)}, np.array([0, 4]), np.ones((2, 1), bool))
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `image` must be finite; got NaN or Inf in rows 0, 1. Pass --nan-as-missing to treat \
NaN rows as missing.
    """

    features: dict[str, Float32[np.ndarray, "rows _"]]
    label: Shaped[np.ndarray, "rows ..."]
    present: Bool[np.ndarray, "rows modality"]
    part: Part = "all"
    name: str = "data"
    label_kind: LabelKind = "auto"
    num_classes: int = 0

    def __post_init__(self) -> None:
        """Brings every array into its one form and checks it."""
        require(self.part in get_args(Part), "part", f"be one of {', '.join(get_args(Part))}", self.part)
        kinds = get_args(LabelKind)
        require(self.label_kind in kinds, "label_kind", f"be one of {', '.join(kinds)}", self.label_kind)
        features = _checked_features(self.features)
        rows = len(next(iter(features.values())))
        _check_rows(self, rows)
        label, kind, classes = _checks.resolved_label(self.label, self.label_kind, self.num_classes)
        require(len(label) == rows, "label", f"have {rows} rows, as `{next(iter(features))}` has", len(label))
        present = _checks.bool_present(self.present, rows, tuple(features))
        for column, (name, array) in enumerate(features.items()):
            _checks.check_finite(name, array, present[:, column])
        _set(self, features=features, label=label, present=present, label_kind=kind, num_classes=classes)

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.label)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in the order of the columns of `present`."""
        return tuple(self.features)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self)

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each modality's features, in the order of `modalities`."""
        return tuple(array.shape[1] for array in self.features.values())

    def take(self, rows: Any, *, part: Part | None = None) -> "Dataset":
        """Returns some rows, in the order given; consecutive ones as views, so that memory-mapped files stay on disk.

        Args:
            rows: row numbers, a boolean per row, or a slice.
            part: which part of the data they are; None: as before.

        Raises:
            InputError: if there is no row among them.
        """
        index = _row_index(rows)
        features = {name: _taken(array, index) for name, array in self.features.items()}
        label, present = _taken(self.label, index), _taken(self.present, index)
        taken = _changed(self, features=features, label=label, present=present)
        taken = taken if part is None else with_part(taken, part)
        _check_rows(taken, len(taken))
        return taken

    def select(self, modalities: Sequence[str]) -> "Dataset":
        """Returns the same rows with some of the modalities, in the order given.

        Args:
            modalities: their names.

        Raises:
            InputError: for a name that the data does not have, with the nearest that it has.
        """
        for name in modalities:
            require(name in self.features, name, f"be a modality of {self.name}", "an unknown name",
                    nearest(name, self.modalities))  # fmt: skip
        require(len(modalities) > 0, "modalities", "name at least one modality", "none")
        columns = [self.modalities.index(name) for name in modalities]
        return with_features(self, {name: self.features[name] for name in modalities}, self.present[:, columns])


@dataclass(frozen=True, eq=False)
class Splits:
    """The three parts of a data set, with the same modalities, widths and classes.

    Attributes:
        train: what models and constants are fitted on.
        validation: what settings and the best epoch are chosen on.
        test: what is reported.

    Raises:
        InputError: if the parts are named otherwise, or differ in modalities, widths or labels.
    """

    train: Dataset
    validation: Dataset
    test: Dataset

    def __post_init__(self) -> None:
        """Checks that the parts belong together."""
        for name, part in self.parts.items():
            require(part.part == name, name, f"be the {name} part", part.part)
            for what in ("modalities", "widths", "label_kind", "num_classes"):
                found, wanted = getattr(part, what), getattr(self.train, what)
                require(found == wanted, f"{what} of {name}", f"be {wanted}, as in train", found)

    def __iter__(self) -> Iterator[Dataset]:
        """Yields train, validation and test."""
        return iter(self.parts.values())

    @property
    def parts(self) -> dict[str, Dataset]:
        """The parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def name(self) -> str:
        """What the data is called."""
        return self.train.name

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return self.train.modalities

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each modality's features."""
        return self.train.widths

    @property
    def label_kind(self) -> LabelKind:
        """Whether the labels are classes, labels or values."""
        return self.train.label_kind

    @property
    def num_classes(self) -> int:
        """Number of classes, labels or values, over all parts."""
        return self.train.num_classes

    def select(self, modalities: Sequence[str]) -> "Splits":
        """Returns all parts with some of the modalities, in the order given."""
        return Splits(*(part.select(modalities) for part in self))


def with_part(dataset: Dataset, part: Part) -> Dataset:
    """Returns the same rows as another part of the data.

    Args:
        dataset: the rows, checked already.
        part: what they are to count as.
    """
    return _changed(dataset, part=part)


def with_features(dataset: Dataset, features: dict[str, np.ndarray], present: np.ndarray) -> Dataset:
    """Returns the same rows with other features, which are not checked again.

    Args:
        dataset: the rows.
        features: float32 features by modality, finite where present.
        present: where they are.
    """
    return _changed(dataset, features=features, present=present)


def _changed(dataset: Dataset, **fields: object) -> Dataset:
    """Returns a copy of a data set with some fields set and none checked: checking reads every value."""
    names = ("features", "label", "present", "part", "name", "label_kind", "num_classes")
    return _set(object.__new__(Dataset), **({name: getattr(dataset, name) for name in names} | fields))


def _set(dataset: Dataset, **fields: object) -> Dataset:
    """Sets fields of a frozen data set while it is being made, and returns it."""
    for name, value in fields.items():
        object.__setattr__(dataset, name, value)
    return dataset


def _check_rows(dataset: Dataset, rows: int) -> None:
    """Raises unless there is a row."""
    whole = dataset.part == "all"
    got = "none" if whole else "an empty split"
    require(rows > 0, dataset.name if whole else dataset.part, "have at least one row", got)


def _checked_features(features: Any) -> dict[str, np.ndarray]:
    """Returns every modality as float32 rows, as many in each."""
    require_type(isinstance(features, Mapping), "features", "be a dictionary of arrays", features)
    require(len(features) > 0, "features", "hold at least one modality", "none")
    arrays = {name: _checks.float32_rows(name, value) for name, value in features.items()}
    first, rows = next((name, len(array)) for name, array in arrays.items())
    for name, array in arrays.items():
        require(len(array) == rows, name, f"have {rows} rows, as `{first}` has", len(array))
    return arrays


def _taken(array: np.ndarray, index: Any) -> np.ndarray:
    """Returns rows: consecutive ones as a view."""
    return array[index] if isinstance(index, slice) else gathered(array, index)


def _row_index(rows: Any) -> Any:
    """Returns row numbers as a slice where they are consecutive, else as an array."""
    if isinstance(rows, slice):
        return rows
    index = np.asarray(rows)
    if index.dtype == np.bool_:
        index = np.flatnonzero(index)
    if len(index) and index[0] >= 0 and bool((np.diff(index) == 1).all()):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index if len(index) else slice(0, 0)
