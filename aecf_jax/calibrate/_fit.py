"""Calibrations fitted on validation rows: one map for all, and one for each pattern, drawn to it where rows are few."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from aecf_jax.calibrate._calibration import METHODS, Calibration, Method
from aecf_jax.calibrate._entries import By, Entries, entries_of, entry_index
from aecf_jax.calibrate._isotonic import fit_isotonic
from aecf_jax.calibrate._maps import Affine, Map, cross_entropy, mapped, probabilities
from aecf_jax.calibrate._rows import CalibrationRows, calibration_rows
from aecf_jax.calibrate._temperature import fit_temperature
from aecf_jax.calibrate._vector import fit_vector
from aecf_jax.data import Dataset, DropTable, Splits
from aecf_jax.errors import nearest, require
from aecf_jax.evaluate import SUBSET_BATCH_SIZE, Model
from aecf_jax.rng import Stream

Parent = Literal["all", "superset"]

_FITS = {"temperature": fit_temperature, "vector": fit_vector, "isotonic": fit_isotonic}
_IDENTITY = Affine(np.ones(1), np.zeros(1))

_STRENGTHS = (10.0, 30.0, 100.0, 300.0, 1000.0, 100000.0)
"""Rows that a parent may count in a fit; with the last an entry has its parent's map, whatever its own rows say."""

_FOLDS = 5


def fit_calibration(
    model: Model,
    data: Splits | Dataset,
    *,
    method: Method = "temperature",
    by: By = "pattern",
    drops: DropTable | None = None,
    parent: Parent = "all",
    root_rows: float | None = None,
    prior_rows: float | None = None,
    seed: int = 0,
    batch_size: int = SUBSET_BATCH_SIZE,
) -> Calibration:
    """Returns a calibration of a model, fitted on validation rows; docs/calibration.md has the formulas.

    Args:
        model: anything with `config` and `variables`.
        data: all parts, of which the validation part is taken and compared with the test part, or the validation part.
        method: temperature, vector (a scale and a shift for each class or label) or isotonic.
        by: what has a map of its own: pattern, size or all.
        drops: what each row shows; None: every subset, see `calibration_rows`.
        parent: what an entry is drawn towards: the map of all rows together, or of its nearest superset.
        root_rows: how many rows no calibration at all counts in the map of all rows; None: one for a temperature, which
            keeps it finite, and as 5-fold cross-validation on the same rows finds best for what has more numbers.
        prior_rows: how many rows the parent counts in an entry's own fit; None: as cross-validation finds best.
        seed: of the folds, and of the drop table if one is drawn.
        batch_size: rows per block.

    Raises:
        InputError: if rows are not for validation, leak from the test part, or do not fit the model.
    """
    for name, value, known in (("method", method, METHODS), ("parent", parent, get_args(Parent))):
        require(value in known, name, f"be one of {', '.join(known)}", value, nearest(str(value), known))
    for name, strength in (("root_rows", root_rows), ("prior_rows", prior_rows)):
        require(strength is None or strength > 0, name, "be positive", strength)
    rows = calibration_rows(model, data, drops=drops, seed=seed, batch_size=batch_size)
    return fitted(rows, tuple(model.config.modalities), method=method, by=by, parent=parent, root_rows=root_rows,
                  prior_rows=prior_rows, seed=seed)  # fmt: skip


def fitted(
    rows: CalibrationRows,
    modalities: tuple[str, ...],
    *,
    method: Method = "temperature",
    by: By = "pattern",
    parent: Parent = "all",
    root_rows: float | None = None,
    prior_rows: float | None = None,
    seed: int = 0,
) -> Calibration:
    """Returns the calibration that fits some rows.

    Args:
        rows: from `calibration_rows`.
        modalities: the names of the columns of what is visible.
        method: temperature, vector or isotonic.
        by: pattern, size or all.
        parent: all or superset.
        root_rows: how many rows no calibration counts; None: one for a temperature, else by cross-validation.
        prior_rows: how many rows the parent counts; None: by cross-validation.
        seed: of its folds.
    """
    if root_rows is None and method == "temperature":
        root_rows = 1.0
    elif root_rows is None:
        whole = _Tree(entries_of(rows.visible, "all"), [0], method)
        root_rows = _best(rows, whole, [(strength, strength) for strength in _STRENGTHS], seed)[0]
    entries = entries_of(rows.visible, by)
    tree = _Tree(entries, _parents(entries, parent), method)
    if len(tree.above) == 1:
        prior_rows = root_rows
    elif prior_rows is None:
        prior_rows = _best(rows, tree, [(root_rows, strength) for strength in _STRENGTHS], seed)[1]
    count = np.bincount(entry_index(entries, rows.visible), minlength=len(tree.above))
    count[-1] = len(rows.logits)
    about = rows.about | {"parent": parent, "folds": _FOLDS, "seed": seed}
    maps = next(_maps(rows, tree, [(root_rows, prior_rows)]))
    return Calibration(modalities, rows.kind, method, by, entries, maps, count, root_rows, prior_rows, about)


class _Tree(NamedTuple):
    """What is fitted: entries, each one's parent (which stands after it; the last is its own), and how."""

    entries: Entries
    above: list[int]
    method: Method


def _parents(entries: Entries, parent: Parent) -> list[int]:
    """Returns each entry's parent."""
    last = len(entries.sizes) - 1
    if parent == "all":
        return [last] * (last + 1)
    holds = (entries.patterns[:, None] <= entries.patterns[None]).all(axis=-1)
    holds &= entries.sizes[:, None] < entries.sizes[None]
    holds[:, last] = True
    return holds.argmax(axis=1).tolist()


def _maps(rows: CalibrationRows, tree: _Tree, strengths: Sequence[tuple[float, float]]) -> Iterator[tuple[Map, ...]]:
    """Yields the maps of all entries for each pair of strengths; without rows an entry has its parent's."""
    index = entry_index(tree.entries, rows.visible)
    last = len(tree.above) - 1
    own = {entry: rows.take(np.flatnonzero(index == entry)) for entry in range(last) if (index == entry).any()}
    roots: dict[float, Map] = {}
    for root_rows, prior_rows in strengths:
        if root_rows not in roots:
            roots[root_rows] = _one_map(rows, _IDENTITY, tree.method, root_rows)
        maps = [roots[root_rows]] * (last + 1)
        for entry in reversed(range(last)):
            parent = maps[tree.above[entry]]
            maps[entry] = _one_map(own[entry], parent, tree.method, prior_rows) if entry in own else parent
        yield tuple(maps)


def _one_map(rows: CalibrationRows, parent: Map, method: Method, strength: float) -> Map:
    """Returns the map that fits the rows and, counted as `strength` rows, what the parent predicts for them.

    The sum of both cross-entropies is that of their mixed targets.
    """
    believed = probabilities(mapped(parent, rows.logits, rows.kind), rows.kind)
    share = strength / (len(rows.logits) + strength)
    target = (1 - share) * rows.target + share * believed
    return _FITS[method](rows.logits, target, rows.kind, parent)


def _best(
    rows: CalibrationRows, tree: _Tree, strengths: Sequence[tuple[float, float]], seed: int
) -> tuple[float, float]:
    """Returns the strengths with the least cross-entropy of rows that were left out; the last, of a single row.

    All that one row of the data shows is left out together. Of equal ones the last.
    """
    sources = np.unique(rows.source)
    if len(sources) < 2:
        return strengths[-1]
    shuffled = np.random.default_rng([seed, int(Stream.CALIBRATION)]).permutation(len(sources))
    fold = (shuffled % min(_FOLDS, len(sources)))[np.searchsorted(sources, rows.source)]
    losses = np.zeros(len(strengths))
    for left_out in np.unique(fold):
        test = rows.take(np.flatnonzero(fold == left_out))
        index = entry_index(tree.entries, test.visible)
        parts = {entry: test.take(np.flatnonzero(index == entry)) for entry in np.unique(index).tolist()}
        for which, maps in enumerate(_maps(rows.take(np.flatnonzero(fold != left_out)), tree, strengths)):
            losses[which] += sum(
                cross_entropy(mapped(maps[entry], part.logits, rows.kind), part.target, rows.kind).sum()
                for entry, part in parts.items()
            )
    return strengths[len(losses) - 1 - int(losses[::-1].argmin())]
