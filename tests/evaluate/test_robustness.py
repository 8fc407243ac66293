"""Robustness curves: against brute force over patterns, their intervals and areas, and what may be compared."""

import json
from itertools import product

import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset, DropTable, fingerprint, make_drops
from aecf_jax.errors import InputError
from aecf_jax.evaluate import RobustnessCurve, predict, require_comparable, robustness_curve
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.model import AECF_CLIP

WIDTHS = {"image": 4, "text": 3, "audio": 2}
SMALL = {"embed_dim": 8, "encoder_hidden_dims": (8,), "gate_hidden_dims": (8,), "head_hidden_dims": (8,)}
CONFIG = AECFConfig(
    modalities=tuple(WIDTHS), input_dims=tuple(WIDTHS.values()), num_classes=3, multilabel=False, **SMALL
)
DRAWS = 40


@pytest.fixture(scope="module")
def model():
    return AECF_CLIP(CONFIG)


def make_rows(rows=50, missing=0.2, seed=0, label=None):
    rng = np.random.default_rng(seed)
    features = {name: rng.normal(size=(rows, width)) for name, width in WIDTHS.items()}
    present = rng.random((rows, len(WIDTHS))) >= missing
    return Dataset(features, rng.integers(0, 3, rows) if label is None else label(rng, rows), present)


ROWS = make_rows()
WHOLE = make_rows(missing=0)
UNLABELLED = Dataset(WHOLE.features, np.zeros((50, 0)), WHOLE.present, label_kind="none")


def curve(predictor, rows=ROWS, rates=(0.0, 0.5, 0.8), **options):
    return robustness_curve(predictor, rows, rates, draws=DRAWS, **options)


def log_odds(dataset):
    """A predictor without parameters that sees what is present: the features' sums, by modality."""
    sums = [np.where(dataset.present[:, [c]], x, 0).sum(1) for c, x in enumerate(dataset.features.values())]
    return np.stack(sums, axis=1)


@pytest.mark.parametrize(
    "options", [{}, {"mechanism": "mar", "observed": "text"}, {"mechanism": "bursts", "length": 3}]
)
def test_points_are_the_metrics_under_their_drop_tables(model, options):
    found = curve(model, seed=3, **options)
    for index, rate in enumerate(found.rates):
        table = make_drops(ROWS, **{"mechanism": "mcar"} | options, rate=rate, seed=3)
        assert found.tables[index] == (table.hash, table.marginals())
        any_seen = table.visible.any(axis=1)
        assert 0 < (~any_seen).sum() < 5
        output = predict(model, ROWS, present=table.visible).output[any_seen]
        metrics = evaluate_predictions(output, ROWS.label[any_seen], "classification")
        for name in ("accuracy", "nll", "brier", "ece"):
            value, low, high = found.metrics[name][index]
            # A sum over rows and a product of matrices round differently.
            assert value == pytest.approx(metrics[name], rel=1e-9)
            assert low <= high
    assert list(found.metrics) == ["accuracy", "nll", "brier", "ece"]
    assert (found.data, found.kind, found.headline) == (fingerprint(ROWS), "classes", "accuracy")


def test_rows_that_a_table_empties_count_where_it_allows_them(model):
    table = make_drops(WHOLE, "mcar", rate=0.7, allow_empty=True)
    assert table.marginals().empty > 5
    found = curve(model, WHOLE, (0.7,), allow_empty=True)
    output = predict(model, WHOLE, present=table.visible).output
    assert found.metrics["nll"][0].value == pytest.approx(
        evaluate_predictions(output, WHOLE.label, "classification")["nll"], rel=1e-9
    )
    assert (found.area, found.relative) == ({}, {})


def exact_by_brute_force(dataset, rate, bins=15):
    """Every row with every non-empty pattern of what it has, weighed: accuracy, nll, brier, ece, and the marginals."""
    weights, probs, labels, seen = [], [], [], []
    for row, had in enumerate(dataset.present):
        for pattern in product([False, True], repeat=len(had)):
            if any(pattern) and not (np.array(pattern) & ~had).any():
                chance = np.where(pattern, 1 - rate, rate)[had].prod() / (1 - rate ** had.sum())
                part = DropTable(dataset.modalities, had[None], np.array([pattern]), "x")
                logits = log_odds(part.apply(dataset.take([row])))[0].astype(np.float64)
                weights.append(chance)
                probs.append(np.exp(logits) / np.exp(logits).sum())
                labels.append(dataset.label[row])
                seen.append(pattern)
    weights, probs, labels, seen = map(np.array, (weights, probs, labels, seen))
    total, own = weights.sum(), probs[np.arange(len(probs)), labels]
    right, top = probs.argmax(1) == labels, probs.max(1)
    index = np.ceil(top * bins).astype(int) - 1
    gaps = [abs((weights * (top - right))[index == b].sum()) for b in range(bins)]
    brier = (weights * ((probs - np.eye(3)[labels]) ** 2).sum(1)).sum()
    found = (weights * right).sum(), -(weights * np.log(own)).sum(), brier, sum(gaps)
    hidden = 1 - weights @ seen / dataset.present.sum(0)
    return [value / total for value in found], hidden


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_exact_curve_is_the_weighted_mean_over_all_patterns(rate):
    found = curve(log_odds, rates=(rate,), exact=True)
    wanted, hidden = exact_by_brute_force(ROWS, rate)
    # Weights are integers of 2^-30 of a row.
    assert [points[0].value for points in found.metrics.values()] == pytest.approx(wanted, abs=1e-8)
    ((kind, marginals),) = found.tables
    assert kind == "exact"
    assert list(marginals.hidden.values()) == pytest.approx(hidden.tolist(), abs=1e-12)
    assert sum(marginals.sizes) == pytest.approx(1, abs=1e-12)
    assert marginals.empty == (~ROWS.present.any(axis=1)).sum() > 0


def test_tables_tend_to_the_exact_curve():
    """200 times the same rows under one table; five standard errors of a mean of independent draws."""
    many = WHOLE.take(np.tile(np.arange(50), 200))
    drawn, exact = curve(log_odds, many, (0.6,)), curve(log_odds, WHOLE, (0.6,), exact=True)
    value, wanted = drawn.metrics["accuracy"][0].value, exact.metrics["accuracy"][0].value
    assert abs(value - wanted) < 5 * 0.5 / np.sqrt(len(many))
    assert abs(drawn.metrics["ece"][0].value - exact.metrics["ece"][0].value) < 0.02


def test_exact_intervals_are_of_resampled_rows_not_of_patterns():
    """One block of draws or many give the same; and identical rows leave nothing to resample."""
    one = WHOLE.take(np.zeros(20, int))
    for _, low, high in curve(log_odds, one, exact=True).metrics["nll"]:
        assert high - low < 1e-9
    found = curve(log_odds, WHOLE, (0.5,), exact=True)
    assert found.metrics["nll"][0].high - found.metrics["nll"][0].low > 0.1


def test_draws_in_blocks_are_the_draws_at_once(monkeypatch):
    whole = curve(log_odds, exact=True)
    monkeypatch.setattr("aecf_jax.evaluate._robustness._MOST_WEIGHTS", 5000)
    for name, drawn in curve(log_odds, exact=True).drawn.items():
        np.testing.assert_allclose(drawn, whole.drawn[name], rtol=1e-12)


def test_area_and_relative_are_what_they_say(model):
    found = curve(model, rates=(0.0, 0.2, 0.8))
    a, b, c = (point.value for point in found.metrics["nll"])
    assert found.area["nll"].value == pytest.approx((0.2 * (a + b) / 2 + 0.6 * (b + c) / 2) / 0.8)
    assert [point.value for point in found.relative["nll"]] == pytest.approx([1, b / a, c / a])
    assert found.relative["nll"][0] == (1, 1, 1)
    drawn = found.drawn["nll"]
    assert drawn.shape == (3, DRAWS)
    assert found.relative["nll"][1].high == pytest.approx(np.quantile(drawn[1] / drawn[0], 0.975))
    assert list(found.area) == list(found.relative) == list(found.metrics)


def test_relative_to_nothing_is_not_a_number():
    wrong = Dataset(WHOLE.features, np.zeros(50, np.int32), WHOLE.present, num_classes=3)
    never = curve(lambda rows: np.tile([0.0, 1.0, 2.0], (len(rows), 1)), wrong)
    assert never.metrics["accuracy"][0].value == 0
    assert np.isnan(never.relative["accuracy"][1]).all()


def test_effective_is_the_paired_difference_on_the_same_tables(model):
    ours, other = curve(model), curve(log_odds)
    effective = ours.effective(other)["accuracy"]
    for index, point in enumerate(effective):
        gap = ours.metrics["accuracy"][index].value - other.metrics["accuracy"][index].value
        drawn = ours.drawn["accuracy"][index] - other.drawn["accuracy"][index]
        assert point == pytest.approx((gap, np.quantile(drawn, 0.025), np.quantile(drawn, 0.975)))
    assert all(point == (0, 0, 0) for point in ours.effective(curve(model))["nll"])
    read = ours.effective(RobustnessCurve.from_dict(other.to_dict()))["accuracy"]
    assert [point.value for point in read] == [point.value for point in effective]
    assert np.isnan([point.low for point in read]).all()


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (lambda: curve(log_odds, seed=1), "different drop tables at 0: "),
        (lambda: curve(log_odds, mechanism="mnar"), "different drop tables at 0: "),
        (lambda: curve(log_odds, exact=True), "and exact."),
        (lambda: curve(log_odds, WHOLE), "different data: "),
        (lambda: curve(log_odds, rates=(0.0, 0.5)), r"different rates: \(0.0, 0.5, 0.8\) and \(0.0, 0.5\)."),
    ],
)
def test_curves_of_other_rows_or_tables_are_not_compared(other, error):
    one = curve(log_odds)
    require_comparable(one, one)
    rule = "`curves` must be of the same rows and drop tables, to be compared; got .*"
    with pytest.raises(InputError, match=rule + error):
        one.effective(other())


def test_curve_goes_through_json(model):
    found = curve(model)
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = RobustnessCurve.from_dict(json.loads(text))
    assert again == found
    assert json.dumps(again.to_dict()) == text
    assert again.area == found.area
    for change in ({"tables": None}, {"rates": 1}, {"metrics": {"nll": [[1]]}}, {"area": []}):
        with pytest.raises(InputError, match="`curve` must be whole"):
            RobustnessCurve.from_dict({**found.to_dict(), **change})
    with pytest.raises(InputError, match="KeyError: 'level'"):
        RobustnessCurve.from_dict({k: v for k, v in found.to_dict().items() if k != "level"})


def test_given_tables_are_used_and_their_rates_are_what_they_hide(model):
    tables = [make_drops(ROWS, "exclusive"), make_drops(ROWS, "mcar", rate=0.2)]
    found = robustness_curve(model, ROWS, tables=tables, draws=DRAWS)
    assert [mark.hash for mark in found.tables] == [table.hash for table in tables]
    hidden = [1 - table.visible.sum() / ROWS.present.sum() for table in tables]
    assert found.rates == pytest.approx(hidden)
    assert found.mechanism == "exclusive, mcar"
    assert found.area == {}  # the rates do not rise
    with pytest.raises(InputError, match="`drop table` must be made for what is present in data"):
        robustness_curve(model, WHOLE, tables=tables, draws=DRAWS)


def test_calibration_takes_what_the_model_saw(model):
    seen = []

    def halved(logits, visible):
        seen.append(visible)
        return logits / 2

    backwards = ROWS.select(tuple(WIDTHS)[::-1])
    found = curve(model, backwards, (0.5,), calibration=halved)
    np.testing.assert_array_equal(seen[0], make_drops(backwards, "mcar", rate=0.5).visible[:, ::-1])
    plain = curve(model, backwards, (0.5,))
    assert found.metrics["accuracy"] == plain.metrics["accuracy"]
    assert found.metrics["nll"] != plain.metrics["nll"]


@pytest.mark.parametrize(
    ("kind", "label", "names"),
    [
        ("labels", lambda rng, rows: rng.integers(0, 2, (rows, 3)), ["map", "nll", "brier", "ece"]),
        ("values", lambda rng, rows: rng.normal(size=(rows, 3)), ["rmse", "mae", "r2"]),
    ],
)
@pytest.mark.parametrize("exact", [False, True])
def test_labels_and_values_have_curves_too(kind, label, names, exact):
    found = curve(log_odds, make_rows(label=label), exact=exact)
    assert (found.kind, list(found.metrics)) == (kind, names)
    assert np.isfinite(list(found.metrics.values())).all()


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rates": ()}, "`rates` must rise from 0 or more to 1 or less; got ()."),
        ({"rates": (0.5, 0.5)}, "`rates` must rise from 0 or more to 1 or less; got (0.5, 0.5)."),
        ({"rates": (-0.1, 0.5)}, "`rates` must rise"),
        ({"rates": (0.5, 1), "exact": True}, "`rates` must rise from 0 or more to 1 or less; got (0.5, 1.0). Exactly"),
        ({"mechanism": "mnar", "exact": True}, "`exact` must be of plain mcar drops; got mnar."),
        ({"tables": [], "exact": True}, "`exact` must be of plain mcar drops; got given tables."),
        ({"allow_empty": True, "exact": True}, "`exact` must be of plain mcar drops"),
        ({"tables": []}, "`tables` must hold at least one drop table; got none."),
        ({"calibration": lambda logits, visible: logits}, "`calibration` must be of a model"),
        ({"rows": UNLABELLED}, "`label` must be given"),
    ],
)
def test_wrong_arguments_are_one_sentence(options, error):
    with pytest.raises(InputError) as raised:
        curve(log_odds, **options)
    assert str(raised.value).startswith(error)


def test_too_many_patterns_are_refused(monkeypatch):
    monkeypatch.setattr("aecf_jax.evaluate._robustness.MOST_PATTERNS", 349)
    with pytest.raises(
        InputError, match="`exact` must have at most 349 patterns of rows; got 350. Draw tables instead."
    ):
        curve(log_odds, exact=True)
