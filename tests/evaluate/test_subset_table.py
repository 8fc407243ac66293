"""What a table of subsets knows beside its metrics: intervals, calibration, the worst subset, regret, older files."""

import json

import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.evaluate import SubsetRow, SubsetTable, evaluate_subsets, subset_outputs
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.model import AECF_CLIP
from aecf_jax.stats import percentile_interval, resample_counts
from tests.evaluate.test_shared import ROWS, make_config, make_rows, shaken


@pytest.fixture(scope="module")
def model():
    config = make_config(2)
    return AECF_CLIP(config, variables=shaken(config))


@pytest.fixture(scope="module")
def rows(model):
    return make_rows(model.config)


def test_intervals_are_those_of_evaluating_every_draw(model, rows):
    table = evaluate_subsets(model, rows, batch_size=ROWS, draws=50, seed=3)
    plain = evaluate_subsets(model, rows, batch_size=ROWS)
    counts = resample_counts(ROWS, 50, seed=3)
    (outputs,) = subset_outputs(model, rows, batch_size=ROWS)
    for index, row in enumerate(table.rows):
        assert row.metrics == plain.rows[index].metrics
        found = {name: [] for name in row.metrics}
        for draw in counts:
            taken = np.repeat(np.arange(ROWS), draw)
            taken = taken[outputs.counted[index][taken]]
            one = evaluate_predictions(outputs.output[index][taken], rows.label[taken], "classification")
            one["entropy"] = float(np.mean(outputs.entropy[index][taken], dtype=np.float64))
            for name, value in one.items():
                found[name].append(value)
        for name, values in found.items():
            low, high = percentile_interval(np.array(values))
            assert row.intervals[name] == pytest.approx((float(low), float(high)), abs=1e-9)
            assert low <= row.metrics[name] + 0.2
        assert row.intervals["accuracy"][0] < row.intervals["accuracy"][1]
    assert SubsetTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False))) == table
    assert table != plain


def test_a_subset_without_rows_has_no_bounds(model, rows):
    present = rows.present.copy()
    present[:, 1] = False
    table = evaluate_subsets(model, type(rows)(rows.features, rows.label, present, num_classes=4),
                             batch_size=ROWS, draws=5)  # fmt: skip
    assert [row.rows for row in table.rows] == [rows.present[:, 0].sum(), 0, 0]
    assert np.isnan(list(table.full.intervals.values())).all()
    assert SubsetTable.from_dict(json.loads(json.dumps(table.to_dict(), allow_nan=False))) == table
    assert table.worst.modalities == ("m0",)


def test_calibration_sees_what_the_model_saw_and_changes_what_is_measured(model, rows):
    seen = []

    def halved(logits, visible):
        seen.append(visible)
        return logits / 2

    table = evaluate_subsets(model, rows, batch_size=ROWS, calibration=halved)
    plain = evaluate_subsets(model, rows, batch_size=ROWS)
    for row, other, visible, columns in zip(table.rows, plain.rows, seen, ([0], [1], [0, 1]), strict=True):
        want = np.zeros_like(visible)
        want[:, columns] = rows.present[:, columns]
        np.testing.assert_array_equal(visible, want)
        assert row.metrics["accuracy"] == other.metrics["accuracy"]
        assert row.metrics["nll"] != other.metrics["nll"]


def make_table(kind="classes", metric="accuracy", values=(0.5, 0.25, 0.875)):
    subsets = (("a",), ("b",), ("a", "b"))
    rows = [SubsetRow(one, 4, {metric: value, "nll": 1.0}) for one, value in zip(subsets, values, strict=True)]
    return SubsetTable(("a", "b"), kind, tuple(rows))


def test_regret_is_what_a_model_made_for_the_subset_gains():
    table, alone = make_table(), make_table(values=(0.0, 0.0, 0.75))
    assert table.regret({("a",): {"accuracy": 0.75}, ("b", "a"): alone}) == {("a",): 0.25, ("a", "b"): -0.125}
    assert table.regret({("b",): {"nll": 0.75}}, "nll") == {("b",): 0.25}
    errors = make_table("values", "rmse")
    assert errors.regret({("a",): {"rmse": 0.25}}) == {("a",): 0.25}
    with pytest.raises(InputError, match="`alone` must name subsets of the table; got c"):
        table.regret({("c",): {"accuracy": 1.0}})
    with pytest.raises(InputError, match="`metric` must be one of accuracy, nll; got accuracies. Did you mean"):
        table.regret({("a",): {"accuracy": 1.0}}, "accuracies")


def test_the_worst_of_all_subsets():
    assert make_table(values=(0.5, 0.25, 0.125)).worst.modalities == ("a", "b")
    assert make_table("values", "rmse").worst.modalities == ("a", "b")
    assert make_table(values=(0.5, 0.25, 0.125)).summary()["worst_subset"]["modalities"] == ["a", "b"]


def test_a_table_of_an_older_file_has_what_it_had():
    old = make_table()
    mapping = old.to_dict()
    assert all("intervals" not in row for row in mapping["subsets"])
    assert SubsetTable.from_dict(mapping) == old
    assert old.reduced(["nll"]).metrics == ("nll",)
