"""The prevalence row: what the training part's frequencies alone are worth."""

import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.metrics import calibration_metrics, evaluate_predictions, prevalence_metrics, prevalence_output


def test_a_table_of_calibration_errors_alone_ranks_it_first():
    draws = np.random.default_rng(0)
    logits = draws.normal(size=(4000, 4)) * 3
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # A good model, slightly too sure of itself.
    targets = (draws.random((4000, 1)) > np.cumsum(probs, axis=1)).sum(axis=1)
    model = evaluate_predictions(1.3 * logits, targets, "classification")
    row = prevalence_metrics(targets[:2000], targets[2000:])
    assert row["ece"] < model["ece"]
    assert row["nll"] > model["nll"]
    assert row["accuracy"] < model["accuracy"]


def test_probabilities_are_the_frequencies():
    train = np.asarray([0, 0, 0, 2])
    output = prevalence_output(train, 5, classes=4)
    np.testing.assert_allclose(np.exp(output), np.tile([0.75, 0, 0.25, 0], (5, 1)), rtol=1e-12)
    labels = np.asarray([[1, 0], [0, 0], [0, 0], [1, 0]])
    np.testing.assert_allclose(1 / (1 + np.exp(-prevalence_output(labels, 3)[:, 0])), [0.5] * 3, rtol=1e-12)


def test_what_was_never_seen_has_an_infinite_negative_log_likelihood():
    row = prevalence_metrics(np.asarray([0, 1]), np.asarray([0, 2]))
    assert row["nll"] == np.inf
    assert row["accuracy"] == 0.5
    assert row["brier"] == pytest.approx((0.5 + 1.5) / 2, rel=1e-12)
    labels = prevalence_metrics(np.asarray([[1, 0], [0, 0]]), np.asarray([[1, 1], [0, 0]]))
    assert labels["nll"] == np.inf
    assert labels["ece"] == pytest.approx(0.25, rel=1e-12)
    never = prevalence_metrics(np.asarray([[1, 0], [0, 0]]), np.asarray([[1, 0], [0, 0]]))
    assert never["nll"] == pytest.approx(np.log(2) / 2, rel=1e-12)


def test_keys_are_those_of_both_evaluations():
    train, targets = np.asarray([0, 1, 1]), np.asarray([1, 0])
    output = prevalence_output(train, 2)
    want = evaluate_predictions(output, targets, "classification") | calibration_metrics(output, targets)
    assert prevalence_metrics(train, targets) == want


def test_of_values_it_predicts_the_mean():
    row = prevalence_metrics(np.asarray([1.0, 3.0]), np.asarray([2.0, 4.0]), "regression")
    assert row["mse"] == 2.0
    near = prevalence_metrics(np.eye(2), np.eye(2), "embedding")
    assert near["cosine_similarity"] == pytest.approx(np.sqrt(0.5), rel=1e-12)


@pytest.mark.usefixtures("untyped_caller")
def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="train_targets"):
        prevalence_output(np.zeros(0, int), 2)
    with pytest.raises(InputError, match="be embeddings"):
        prevalence_metrics(np.asarray([0, 1]), np.asarray([0, 1]), "embedding")
    with pytest.raises(InputError, match="be integers"):
        prevalence_metrics(np.asarray([0.5, 1]), np.asarray([0, 1]))
