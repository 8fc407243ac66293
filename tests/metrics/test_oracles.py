"""Every metric of a data set against scikit-learn, or its definition, on what is random and what is degenerate."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sklearn_metrics
from sklearn.metrics.pairwise import paired_cosine_distances

from aecf_jax.metrics import AECFMetrics, evaluate_predictions
from tests.metrics import brute

ROWS, CLASSES = 9, 5
# Probabilities of exactly 0 and 1, ties, and anything between.
LOGIT = st.one_of(st.sampled_from([-800.0, 800.0]), st.integers(-2, 2).map(float), st.floats(-9, 9, width=16))
LOGITS = hnp.arrays(np.float64, (ROWS, CLASSES), elements=LOGIT)
DISTINCT = st.permutations(range(ROWS * CLASSES)).map(lambda p: np.reshape(p, (ROWS, CLASSES)) / 7.0)
CLASS = st.one_of(st.just(np.full(ROWS, 3)), hnp.arrays(np.int64, ROWS, elements=st.integers(0, CLASSES - 1)))
# Labels that never occur and labels that always do are common.
LABEL = st.tuples(hnp.arrays(bool, (ROWS, CLASSES)), hnp.arrays(np.int64, CLASSES, elements=st.integers(0, 3))).map(
    lambda pair: np.where(pair[1] == 0, 0, np.where(pair[1] == 1, 1, pair[0]))
)
ROW_COUNT = st.sampled_from([1, 2, ROWS])


def assert_same(got, want):
    for name, value in want.items():
        # float64 both.
        assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name


@settings(max_examples=25)
@given(LOGITS, CLASS, ROW_COUNT)
def test_classes_equal_their_definitions(logits, targets, rows):
    logits, targets = logits[:rows], targets[:rows]
    want = brute.class_metrics(logits.tolist(), targets.tolist())
    assert_same(evaluate_predictions(logits, targets, "classification"), want)


@settings(max_examples=25)
@given(LOGITS, LABEL, ROW_COUNT)
def test_labels_equal_their_definitions(logits, labels, rows):
    logits, labels = logits[:rows], labels[:rows]
    each = [brute.average_precision(logits[:, c].tolist(), labels[:, c]) for c in range(CLASSES)]
    defined = [value for value in each if not np.isnan(value)]
    ranking = {
        "map": np.mean(defined) if defined else np.nan,
        "map_micro": brute.average_precision(logits.reshape(-1).tolist(), labels.reshape(-1)),
    }
    want = brute.label_metrics(logits.tolist(), labels.tolist()) | ranking
    assert_same(evaluate_predictions(logits, labels, "classification"), want)


@settings(max_examples=25)
@given(DISTINCT, CLASS)
def test_classes_equal_scikit_learn(logits, targets):
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    known = np.arange(CLASSES)
    want = {
        "accuracy": sklearn_metrics.accuracy_score(targets, logits.argmax(axis=1)),
        # All five classes are the top five.
        "top5_accuracy": sklearn_metrics.top_k_accuracy_score(targets, logits, k=CLASSES - 1, labels=known)
        + np.mean(logits.argmin(axis=1) == targets),
        "nll": sklearn_metrics.log_loss(targets, probs, labels=known),
        "brier": sklearn_metrics.brier_score_loss(targets, probs, labels=known, scale_by_half=False),
        "f1_micro": sklearn_metrics.f1_score(targets, logits.argmax(axis=1), average="micro"),
    }
    assert_same(evaluate_predictions(logits, targets, "classification"), want)


@settings(max_examples=25)
@given(DISTINCT, LABEL)
def test_labels_equal_scikit_learn(scores, labels):
    logits = scores - 3.0
    probs, guess = 1 / (1 + np.exp(-logits)), logits > 0
    occurs, columns = labels.any(axis=0), list(zip(labels.T, probs.T, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = {
            "exact_match": sklearn_metrics.accuracy_score(labels, guess),
            "hamming_loss": sklearn_metrics.hamming_loss(labels, guess),
            "nll": np.mean([sklearn_metrics.log_loss(y, p, labels=[0, 1]) for y, p in columns]),
            "brier": np.mean([sklearn_metrics.brier_score_loss(y, p, pos_label=1) for y, p in columns]),
            "map": sklearn_metrics.average_precision_score(labels[:, occurs], logits[:, occurs], average="macro")
            if occurs.any()
            else np.nan,
        }
    assert_same(evaluate_predictions(logits, labels, "classification"), want)


@settings(max_examples=25)
@given(
    hnp.arrays(np.float64, (ROWS, 3), elements=st.integers(-2, 2).map(float)),
    hnp.arrays(np.float64, (ROWS, 3), elements=st.integers(-2, 2).map(float)),
    hnp.arrays(np.int64, ROWS, elements=st.integers(0, 3)),
    ROW_COUNT,
)
def test_embeddings_equal_their_definitions(rows, others, groups, number):
    rows, others, groups = rows[:number], others[:number], groups[:number]
    pairs = evaluate_predictions(rows, others, "embedding")
    assert_same(pairs, {"cosine_similarity": np.mean([brute.cosine(a, b) for a, b in zip(rows, others, strict=True)])})
    found = evaluate_predictions(rows, groups, "embedding")
    want = brute.group_metrics(rows.tolist(), groups.tolist())
    assert found["cosine_similarity"] == pytest.approx(want["cosine_similarity"], abs=1e-9, nan_ok=True)
    directed = np.where(
        (rows == 0).all(axis=1) | (others == 0).all(axis=1), np.nan, 1 - paired_cosine_distances(rows, others)
    )
    if not np.isnan(directed).any():
        assert_same(pairs, {"cosine_similarity": directed.mean()})


@settings(max_examples=25)
@given(
    hnp.arrays(np.float64, (ROWS, 3), elements=st.floats(-9, 9, width=16)),
    hnp.arrays(np.int64, ROWS, elements=st.integers(0, 2)),
)
def test_a_centroid_is_nearest_as_by_definition(rows, groups):
    # Apart by more than rounding, so that no distance ties with another but by chance of the draw.
    rows = rows + np.random.default_rng(0).normal(size=rows.shape)
    want = brute.group_metrics(rows.tolist(), groups.tolist())
    assert_same(evaluate_predictions(rows, groups, "embedding"), want)


TARGETS = {
    "classes": ("classification", lambda draws: draws.integers(0, CLASSES, ROWS)),
    "labels": ("classification", lambda draws: draws.integers(0, 2, (ROWS, CLASSES))),
    "values": ("regression", lambda draws: draws.normal(size=(ROWS, CLASSES))),
    "pairs": ("embedding", lambda draws: draws.normal(size=(ROWS, CLASSES))),
    "groups": ("embedding", lambda draws: draws.integers(0, 3, ROWS)),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_the_order_of_rows_does_not_matter(kind):
    task, make = TARGETS[kind]
    draws = np.random.default_rng(0)
    output, targets, weights = draws.normal(size=(ROWS, CLASSES)), make(draws), draws.dirichlet([1, 1], ROWS)
    first = evaluate_predictions(output, targets, task, weights=weights)
    for _ in range(5):
        order = draws.permutation(ROWS)
        again = evaluate_predictions(output[order], targets[order], task, weights=weights[order])
        # Sums in another order.
        assert_same(again, first)


def test_one_gate_that_takes_all_has_entropy_0_and_one_effective_modality():
    found = AECFMetrics.compute_modality_metrics(np.asarray([[1.0, 0.0], [1.0, 0.0]]))
    assert (found["entropy"], found["effective_modalities"], found["weight_std_mod_0"]) == (0, 1, 0)
