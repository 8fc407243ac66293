"""All metrics of a data set at once: fixed keys, the same digits every time, one clear sentence for wrong inputs."""

import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.errors import InputError
from aecf_jax.metrics import AECFMetrics, evaluate_predictions

BATCH, CLASSES = 8, 5
DRAWS = np.random.default_rng(3)
LOGITS = DRAWS.normal(size=(BATCH, CLASSES)).astype(np.float32)
CLASS = DRAWS.integers(0, CLASSES, BATCH)
LABEL = DRAWS.integers(0, 2, (BATCH, CLASSES)).astype(np.float32)
VALUE = DRAWS.normal(size=(BATCH, CLASSES)).astype(np.float32)
WEIGHTS = DRAWS.dirichlet([1, 1], BATCH).astype(np.float32)

SCORES = ["precision", "recall", "f1_macro", "f1_micro", "nll", "brier", "ece", "mce"]
KEYS = {
    "classes": ("classification", CLASS, ["accuracy", "top5_accuracy", "confidence", *SCORES, "classwise_ece"]),
    "labels": ("classification", LABEL, ["map", "map_micro", "exact_match", "hamming_loss", "accuracy",
                                         "top1_accuracy", *SCORES]),
    "values": ("regression", VALUE, ["mse", "mae", "rmse", "r2", "r2_per_target"]),
    "pairs": ("embedding", VALUE, ["cosine_similarity"]),
    "groups": ("embedding", CLASS, ["cosine_similarity", "centroid_accuracy"]),
}  # fmt: skip
MODALITY = ["entropy", "effective_modalities", "weight_mod_0", "weight_std_mod_0", "weight_mod_1", "weight_std_mod_1"]


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("rows", [0, 1, BATCH])
def test_keys_and_their_order_are_fixed(name, rows):
    task, targets, keys = KEYS[name]
    found = evaluate_predictions(LOGITS[:rows], targets[:rows], task)
    assert list(found) == keys
    assert all(type(value) is float for value in found.values())
    assert list(evaluate_predictions(LOGITS[:rows], targets[:rows], task, weights=WEIGHTS[:rows])) == keys + MODALITY


@pytest.mark.parametrize("name", KEYS)
def test_the_same_predictions_give_the_same_digits_in_any_type_of_array(name):
    task, targets, _ = KEYS[name]
    want = evaluate_predictions(LOGITS, targets, task, weights=WEIGHTS)
    assert evaluate_predictions(LOGITS.copy(), targets.copy(), task, weights=WEIGHTS.copy()) == want
    assert evaluate_predictions(jnp.asarray(LOGITS), jnp.asarray(targets), task, weights=jnp.asarray(WEIGHTS)) == want
    assert evaluate_predictions(LOGITS.astype(np.float64), targets, task, weights=WEIGHTS) == want


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("rows", [1, BATCH])
def test_what_is_given_stays_as_it_is(name, rows):
    task, targets, _ = KEYS[name]
    given = [LOGITS[:rows].astype(np.float64), targets[:rows].copy(), WEIGHTS[:rows].astype(np.float64)]
    evaluate_predictions(given[0], given[1], task, weights=given[2])
    for array, before in zip(given, (LOGITS, targets, WEIGHTS), strict=True):
        np.testing.assert_array_equal(array, before[:rows])


def test_bfloat16_outputs_and_boolean_labels_are_taken():
    narrow = jnp.asarray(LOGITS, jnp.bfloat16)
    want = evaluate_predictions(np.asarray(narrow.astype(jnp.float32)), LABEL, "classification")
    assert evaluate_predictions(narrow, LABEL > 0.5, "classification") == want
    probs = jnp.asarray([[0.75, 0.25]] * 4, jnp.bfloat16)
    assert AECFMetrics.compute_calibration_metrics(probs, np.asarray([0, 0, 0, 1]))["ece"] == 0.0


def test_the_model_s_entropy_is_taken_where_it_is_given():
    given = np.arange(BATCH, dtype=np.float32)
    found = evaluate_predictions(LOGITS, CLASS, "classification", weights=WEIGHTS, entropy=given)
    assert found["entropy"] == 3.5
    some = np.asarray([[True, True]] * 4 + [[False, False]] * 4)
    found = evaluate_predictions(LOGITS, CLASS, "classification", weights=WEIGHTS, entropy=given, present=some)
    assert found["entropy"] == 1.5


def test_the_number_of_bins_acts():
    one, many = (evaluate_predictions(LOGITS, CLASS, "classification", n_bins=bins)["ece"] for bins in (1, 15))
    # With one bin the error is |mean confidence - accuracy|.
    found = evaluate_predictions(LOGITS, CLASS, "classification")
    assert one == pytest.approx(abs(found["confidence"] - found["accuracy"]), rel=1e-12)
    assert one < many


def test_cosine_of_embeddings_and_their_targets():
    got = evaluate_predictions(
        np.asarray([[3.0, 0], [1, 1], [0, 0]]), np.asarray([[1.0, 0], [1, 0], [1, 0]]), "embedding"
    )
    # Cosines 1, 1/sqrt 2, and 0 for a vector without a direction.
    assert got["cosine_similarity"] == pytest.approx((1 + np.sqrt(0.5)) / 3, rel=1e-12)


def test_centroids_leave_the_row_itself_out():
    rows = np.asarray([[1.0, 0], [0, 1], [-1, 0], [-1, 0], [0, 5]])
    got = evaluate_predictions(rows, np.asarray([7, 7, 2, 2, 9]), "embedding")
    # Rows 0 and 1 are orthogonal to each other; 2 and 3 agree; row 4 is alone in its class and does not count.
    assert got["cosine_similarity"] == 0.5
    # Row 0 has cosine 0 with its class, -1 and 0 with the others; row 1 has 1 with class 9.
    assert got["centroid_accuracy"] == 0.75


def test_calibration_of_labels_and_its_faulty_ancestor():
    # Calibrated and uncertain: mean |p - y| is 1/2, the calibration error 0.
    probs, labels = np.full((4, 2), 0.5), np.asarray([[1, 0], [0, 1], [1, 0], [0, 1]])
    assert AECFMetrics.compute_calibration_metrics(probs, labels) == {"ece": 0.0, "mce": 0.0}


BAD = {
    "task": (LOGITS, CLASS, "clasification", "Did you mean `classification`"),
    "classes of another length": (LOGITS, CLASS[:3], "classification", "have 8 rows"),
    "class too large": (LOGITS, CLASS * 0 + 9, "classification", "got 9 in row 0"),
    "class below 0": (LOGITS, np.asarray([0] * 7 + [-1]), "classification", "got -1 in row 7"),
    "float classes": (LOGITS, CLASS.astype(float), "classification", "be integers"),
    "labels of another width": (LOGITS, LABEL[:, :2], "classification", "shape of the output"),
    "labels that are neither 0 nor 1": (LOGITS, LABEL * 0.5 + 0.5, "classification", "be 0 or 1"),
    "labels with NaN": (LOGITS, LABEL * np.nan, "classification", "be 0 or 1"),
    "output without classes": (LOGITS[:, 0], CLASS, "classification", "rows, classes"),
    "values of another shape": (LOGITS, VALUE[:, :1], "regression", "shape of the predictions"),
    "embeddings of another width": (LOGITS, VALUE[:, :2], "embedding", "shape of the output"),
    "groups of another length": (LOGITS, CLASS[:3], "embedding", "have 8 rows"),
    "float groups": (LOGITS, CLASS.astype(float), "embedding", "be integers"),
    "one embedding without rows": (LOGITS[0], CLASS, "embedding", "rows, embed"),
}


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize("name", BAD)
def test_wrong_inputs_are_refused_in_one_sentence(name):
    output, targets, task, says = BAD[name]
    with pytest.raises(InputError, match=says):
        evaluate_predictions(output, targets, task)


@pytest.mark.usefixtures("untyped_caller")
def test_wrong_bins_weights_and_probabilities_are_refused():
    with pytest.raises(InputError, match="n_bins"):
        evaluate_predictions(LOGITS, CLASS, "classification", n_bins=0)
    with pytest.raises(InputError, match="weights"):
        AECFMetrics.compute_modality_metrics(np.ones(3))
    probs = np.full((BATCH, CLASSES), 0.2)
    probs[3, 1] = 1.5
    with pytest.raises(InputError, match=r"got 1\.5 in row 3"):
        AECFMetrics.compute_calibration_metrics(probs, CLASS)
    with pytest.raises(InputError, match="rows, classes"):
        AECFMetrics.compute_calibration_metrics(probs[:, 0], CLASS)
    with pytest.raises(InputError, match="n_bins"):
        AECFMetrics.compute_calibration_metrics(probs * 0, CLASS, n_bins=0)
    with pytest.raises(InputError, match="have 8 rows"):
        AECFMetrics.compute_calibration_metrics(probs * 0, CLASS[:2])
