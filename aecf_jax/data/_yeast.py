"""Genes of yeast with 14 functions each may have, from the two ARFF files of MULAN."""

from pathlib import Path

import numpy as np

from aecf_jax.config import DataConfig
from aecf_jax.data import _split
from aecf_jax.data._arff import read_arff
from aecf_jax.data._dataset import Dataset, Part, Splits
from aecf_jax.data._source import Source, original_files
from aecf_jax.errors import require

_FILES = ("yeast/yeast-train.arff", "yeast/yeast-test.arff")
_WIDTHS = {"expression": 79, "phylogenetic": 24}
_LABELS = 14
_VALIDATION = 0.2


def load_yeast(config: DataConfig) -> Splits:
    """Returns 2,417 genes: its own 1,500 and 917 rows, with 300 of the former, by seed, for validation."""
    train, test = original_files(config, *_FILES)
    fit = _part(train, "train")
    parts = _split.random_parts(_split.strata_of(fit), _VALIDATION, 0.0, config.split_seed)
    return Splits(
        fit.take(parts == _split.TRAIN, part="train"),
        fit.take(parts == _split.VALIDATION, part="validation"),
        _part(test, "test"),
    )


def _part(path: Path, part: Part) -> Dataset:
    """Returns the rows of one of the two files."""
    table = read_arff(path)
    numeric, labels = [values is None for values in table.values], [values == ("0", "1") for values in table.values]
    inputs = sum(_WIDTHS.values())
    fits = len(numeric) == inputs + _LABELS and all(numeric[:inputs]) and all(labels[inputs:])
    require(fits, path.name, f"have {inputs} numeric attributes, then {_LABELS} of {{0,1}}", "others")
    ends = np.cumsum(list(_WIDTHS.values()))
    columns = np.split(table.rows, ends, axis=1)
    features = dict(zip(_WIDTHS, columns, strict=False))
    present = np.ones((len(table.rows), len(features)), np.bool_)
    return Dataset(features, columns[-1], present, part=part, name="yeast", label_kind="labels")


YEAST = Source(
    name="yeast",
    summary="Genes of yeast: expression and phylogenetic profile, several functions each",
    licence="none stated; cite Elisseeff & Weston (2001), via MULAN",
    rows=2417,
    labels="14 labels",
    modalities=tuple(_WIDTHS),
    folder="yeast/",
    load=load_yeast,
)
