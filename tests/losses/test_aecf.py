"""The whole loss: fixed keys, every coefficient acts, one program for all epochs, absent inputs leave no trace."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError
from aecf_jax.losses import (
    AECFLoss,
    class_divergence,
    info_nce,
    label_divergence,
    size_calibration_gap,
    squared_distance,
    supervised_contrastive,
)
from aecf_jax.ops import gate_entropy, mutual_information, predictive_entropy

BATCH, CLASSES, MODALITIES = 8, 5, 2
KEYS = {"primary_loss", "entropy_loss", "ece_loss", "l2_loss", "total_loss"}
DRAWS = np.random.default_rng(7)
LOGITS = jnp.asarray(DRAWS.normal(size=(BATCH, CLASSES)) * 2, jnp.float32)
OTHER = jnp.asarray(DRAWS.normal(size=(BATCH, CLASSES)) * 2, jnp.float32)
ALONE = jnp.asarray(DRAWS.normal(size=(MODALITIES, BATCH, CLASSES)), jnp.float32)
CLASS = jnp.asarray(DRAWS.integers(0, CLASSES, BATCH))
LABEL = jnp.asarray(DRAWS.integers(0, 2, (BATCH, CLASSES)), jnp.float32)
WEIGHTS = jnp.asarray([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0], [0.2, 0.8]] * 2)
TASKS = [("classification", CLASS), ("classification", LABEL), ("regression", OTHER), ("embedding", OTHER),
         ("embedding", CLASS)]  # fmt: skip
TASK_NAMES = ["classes", "labels", "values", "pairs", "groups"]


def make_loss(task="classification", **changes):
    plain = {"num_classes": CLASSES, "task_type": task, "consistency_coeff": 0.0, "ece_penalty_coeff": 0.5,
             "fusion": "gated", "entropy_reg": True, "unimodal_coeff": 0.0, "confidence_coeff": 0.0}  # fmt: skip
    return AECFLoss(AECFConfig(**plain | changes))


@pytest.mark.parametrize(("task", "targets"), TASKS, ids=TASK_NAMES)
@pytest.mark.parametrize("consistency", [0.0, 0.3])
def test_keys_are_fixed_by_the_configuration_alone(task, targets, consistency):
    loss_fn = make_loss(task, consistency_coeff=consistency)
    want = KEYS | ({"consistency_loss"} if consistency else set())
    views = {"present": WEIGHTS > 0, "full_logits": OTHER, "alone_logits": ALONE}
    for total, components in (loss_fn(LOGITS, targets), loss_fn(LOGITS, targets, WEIGHTS, 3, 30, **views)):
        assert set(components) == want
        parts = math.fsum(float(value) for name, value in components.items() if name != "total_loss")
        # A float32 sum of five numbers.
        assert float(total) == float(components["total_loss"]) == pytest.approx(parts, rel=1e-6)
        assert all(value.dtype == jnp.float32 and value.shape == () for value in components.values())


@pytest.mark.parametrize(("task", "targets"), TASKS, ids=TASK_NAMES)
def test_jit_with_a_traced_epoch_equals_eager_and_compiles_once(task, targets):
    loss_fn = make_loss(task, consistency_coeff=0.3, consistency_loss_coeff=0.2)
    traces = []

    @jax.jit
    def compiled(logits, epoch, present):
        traces.append(None)
        return loss_fn(logits, targets, WEIGHTS, epoch, 30, present=present, full_logits=OTHER, alone_logits=ALONE)

    for epoch, present in ((0.0, WEIGHTS > 0), (3.5, WEIGHTS > 0.3), (12.0, WEIGHTS >= 0)):
        _, got = compiled(LOGITS, epoch, present)
        _, want = loss_fn(LOGITS, targets, WEIGHTS, epoch, 30, present=present, full_logits=OTHER, alone_logits=ALONE)
        for name, value in want.items():
            # The compiler fuses, and so rounds, in another order.
            assert float(got[name]) == pytest.approx(float(value), rel=1e-5, abs=1e-7)
    assert len(traces) == 1


@pytest.mark.parametrize(("task", "targets"), TASKS, ids=TASK_NAMES)
@pytest.mark.parametrize("scale", [1e4, 0.0])
def test_total_has_finite_gradients_at_saturated_logits(task, targets, scale):
    loss_fn = make_loss(
        task, consistency_coeff=0.3, consistency_loss_coeff=0.2, label_smoothing=0.05, focal_gamma=0.5,
        l2_logits_coeff=1e-4, confidence_coeff=0.5, unimodal_coeff=0.5, subset_calibration_coeff=0.5,
        entropy_instance="predictive" if task == "classification" else "none",
    )  # fmt: skip

    def total(logits, weights, alone):
        views = {"present": WEIGHTS > 0, "full_logits": -logits, "alone_logits": alone}
        return loss_fn(logits, targets, weights, 3.0, **views)[0]

    value, gradients = jax.value_and_grad(total, argnums=(0, 1, 2))(jnp.sign(LOGITS) * scale, WEIGHTS, ALONE * scale)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_every_coefficient_acts():
    # A training run's components at epoch 3 of 30; each change must move its own component and no other.
    base = {"entropy_max_coeff": 0.1, "ece_penalty_coeff": 0.5, "l2_logits_coeff": 1e-4, "focal_alpha": 0.25,
            "consistency_coeff": 0.3, "consistency_loss_coeff": 0.2, "focal_gamma": 2.0, "label_smoothing": 0.05,
            "label_frequencies": (0.1, 0.2, 0.3, 0.4, 0.5), "consistency_ramp_epochs": 5,
            "subset_calibration_coeff": 0.1}  # fmt: skip
    changes = {
        "entropy_loss": [{"entropy_max_coeff": 0.2}, {"entropy_free_epochs": 1}, {"entropy_warmup_epochs": 9},
                         {"entropy_instance": "output"}, {"entropy_instance": "predictive"},
                         {"entropy_instance": "mutual_information"}],
        "subset_calibration_loss": [{"subset_calibration_coeff": 0.2}],
        "ece_loss": [{"ece_penalty_coeff": 0.7}], "l2_loss": [{"l2_logits_coeff": 1e-3}],
        "consistency_loss": [
            {"consistency_coeff": 0.6}, {"consistency_loss_coeff": 0.4}],
        "primary_loss": [{"focal_alpha": 0.5}, {"focal_gamma": 1.0}, {"label_smoothing": 0.1},
                         {"label_frequencies": (0.5, 0.4, 0.3, 0.2, 0.1)}],
    }  # fmt: skip

    def components(**settings):
        views = {"full_logits": OTHER, "alone_logits": ALONE, "draws": jnp.stack([LOGITS, OTHER])}
        return make_loss(**settings)(LOGITS, LABEL, WEIGHTS, 3.0, 30, **views)[1]

    before = components(**base)
    for name, settings in ((name, change) for name, many in changes.items() for change in many):
        after = components(**base | settings)
        moved = {key for key in before if float(before[key]) != float(after[key])}
        assert moved == {name, "total_loss"}, settings
    after = components(**base | {"consistency_ramp_epochs": 4})
    moved = {key for key in before if float(before[key]) != float(after[key])}
    assert moved == {"consistency_loss", "subset_calibration_loss", "total_loss"}


@pytest.mark.parametrize("instance", ["output", "predictive", "mutual_information"])
def test_reward_of_each_row_is_multiplied_by_its_uncertainty(instance):
    """lambda(x) is of the full view's own output, or of the draws; it has no gradient."""
    loss_fn, draws = make_loss(entropy_instance=instance), jnp.stack([LOGITS, OTHER])
    given = None if instance == "output" else draws
    share = {"output": predictive_entropy(OTHER[None], labels=False),
             "predictive": predictive_entropy(draws, labels=False),
             "mutual_information": mutual_information(draws, labels=False)}[instance]  # fmt: skip

    def reward(full, draws):
        return loss_fn(LOGITS, CLASS, WEIGHTS, 3.0, 30, full_logits=full, draws=draws)[1]["entropy_loss"]

    coefficient = 0.1 * 3 / 5
    # Float32 sums of eight numbers.
    want = -coefficient * float(jnp.mean(share * gate_entropy(WEIGHTS)))
    assert float(reward(OTHER, given)) == pytest.approx(want, rel=1e-5)
    assert not np.any(jax.grad(reward, argnums=0)(OTHER, given))


def test_gap_of_confidence_and_accuracy_is_taken_by_subset_size():
    visible = jnp.asarray([[True, True], [True, False], [False, True], [False, False]] * 2)
    odds = np.exp(np.asarray(LOGITS, np.float64))
    hit = np.argmax(np.asarray(LOGITS), -1) == np.asarray(CLASS)
    gap = (odds / odds.sum(-1, keepdims=True)).max(-1) - hit
    size = np.asarray(visible).sum(-1)
    want = float(sum(abs(gap[size == k].sum()) for k in (1, 2)) / (size > 0).sum())
    # Float32 sums of six probabilities.
    assert float(size_calibration_gap(LOGITS, CLASS, visible)) == pytest.approx(want, rel=1e-5)
    sure = jnp.where(LABEL > 0.5, 50.0, -50.0)
    assert float(size_calibration_gap(sure, LABEL, visible)) == 0
    assert float(size_calibration_gap(-sure, LABEL, visible)) == 1


def test_fault_entropy_max_coeff_takes_effect():
    half, one = (make_loss(entropy_max_coeff=c)(LOGITS, CLASS, WEIGHTS, 10)[1]["entropy_loss"] for c in (0.05, 0.1))
    assert float(one) < 0
    # A factor of two is exact in binary.
    assert float(one) == 2 * float(half)


def test_entropy_reward_is_switched_off_by_entropy_reg():
    off = make_loss(entropy_reg=False)(LOGITS, CLASS, WEIGHTS, 10)[1]["entropy_loss"]
    assert float(off) == 0.0


def test_entropy_reward_pulls_weights_together_and_counts_empty_rows_as_0():
    loss_fn = make_loss(entropy_max_coeff=0.1, entropy_warmup_epochs=0)
    present = jnp.asarray([[True, True], [True, False]] * 4)
    weights = jnp.where(present, jnp.asarray([[0.5, 0.5], [1.0, 0.0]] * 4), 0.0)

    def entropy(weights, present):
        return loss_fn(LOGITS, CLASS, weights, 0.0, 30, present=present)[1]["entropy_loss"]

    # Half of the rows at log 2, the others 0; float32 logarithm.
    assert float(entropy(weights, present)) == pytest.approx(-0.1 * 0.5 * math.log(2), rel=1e-6)
    empty = jnp.asarray([[True, True], [False, False]] * 4)
    assert float(entropy(weights, empty)) == pytest.approx(-0.1 * 0.5 * math.log(2), rel=1e-6)
    poisoned = jnp.where(empty, weights, jnp.nan)
    assert float(entropy(poisoned, empty)) == float(entropy(weights, empty))
    gradient = np.asarray(jax.grad(entropy)(jnp.asarray([[0.9, 0.1]] * 8), jnp.ones((8, 2), bool)))
    assert (gradient[:, 1] < gradient[:, 0]).all()


@pytest.mark.parametrize(("task", "targets"), TASKS, ids=TASK_NAMES)
def test_fault_consistency_is_real(task, targets):
    loss_fn = make_loss(task, consistency_coeff=0.5, consistency_loss_coeff=0.25, consistency_ramp_epochs=4)

    def consistency(epoch, **views):
        return float(loss_fn(LOGITS, targets, WEIGHTS, epoch, **views)[1]["consistency_loss"])

    assert consistency(8.0) == 0.0
    divergence, distance = consistency(8.0, full_logits=OTHER), consistency(8.0, alone_logits=ALONE)
    assert divergence > 0
    assert distance > 0
    # The ramp is linear: a quarter of the way, a quarter of the term, exact in binary.
    assert consistency(1.0, full_logits=OTHER) == divergence / 4
    assert consistency(0.0, full_logits=OTHER) == 0.0
    assert consistency(8.0, full_logits=LOGITS) == 0.0


def test_consistency_is_the_divergence_of_the_kind_of_target():
    terms = [
        ("classification", CLASS, class_divergence), ("classification", LABEL, label_divergence),
        ("regression", OTHER, squared_distance), ("embedding", OTHER, squared_distance),
    ]  # fmt: skip
    for task, targets, term in terms:
        loss_fn = make_loss(task, consistency_coeff=0.5, consistency_ramp_epochs=0)
        got = loss_fn(LOGITS, targets, full_logits=OTHER)[1]["consistency_loss"]
        # Half is exact in binary.
        assert float(got) == 0.5 * float(term(OTHER, LOGITS))


def test_consistency_alone_is_squared_distance_of_probabilities():
    loss_fn = make_loss(consistency_loss_coeff=1.0, consistency_ramp_epochs=0)
    got = loss_fn(LOGITS, CLASS, alone_logits=ALONE)[1]["consistency_loss"]
    want = jnp.mean(jnp.square(jax.nn.softmax(ALONE) - jax.nn.softmax(LOGITS)[None]))
    # The same float32 mean in another order.
    assert float(got) == pytest.approx(float(want), rel=1e-6)
    got = loss_fn(LOGITS, LABEL, alone_logits=ALONE)[1]["consistency_loss"]
    want = jnp.mean(jnp.square(jax.nn.sigmoid(ALONE) - jax.nn.sigmoid(LOGITS)[None]))
    assert float(got) == pytest.approx(float(want), rel=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize(("task", "targets"), TASKS, ids=TASK_NAMES)
def test_absent_modalities_leave_loss_and_gradients_bit_equal(task, targets, poison):
    loss_fn = make_loss(task, consistency_loss_coeff=0.25)
    present = jnp.asarray([[True, False], [False, True], [True, True], [False, False]] * 2)

    def total(logits, weights, alone):
        return loss_fn(logits, targets, weights, 8.0, present=present, alone_logits=alone)[0]

    def run(fill):
        alone = jnp.where(present.T[:, :, None], ALONE, fill)
        weights = jnp.where(present, WEIGHTS, fill)
        return jax.tree.leaves(jax.value_and_grad(total, argnums=(0, 1, 2))(LOGITS, weights, alone))

    for clean, dirty in zip(run(0.0), run(poison), strict=True):
        np.testing.assert_array_equal(clean, dirty)


def test_fault_embedding_loss_is_a_contrastive_loss():
    loss_fn = make_loss("embedding", contrastive_temp=0.2)
    assert float(loss_fn(LOGITS, OTHER)[1]["primary_loss"]) == float(info_nce(LOGITS, OTHER, temperature=0.2))
    want = float(supervised_contrastive(LOGITS, CLASS.astype(jnp.int32), temperature=0.2))
    assert float(loss_fn(LOGITS, CLASS)[1]["primary_loss"]) == want > 0
    gradient = jax.grad(lambda x: loss_fn(x, OTHER)[0])(LOGITS)
    assert np.abs(gradient).max() > 1e-3


def test_numpy_inputs_boolean_labels_and_one_regression_column_are_taken():
    host = {name: np.asarray(value) for name, value in {"x": LOGITS, "w": WEIGHTS, "t": LABEL}.items()}
    want = make_loss()(LOGITS, LABEL, WEIGHTS, 2)[0]
    assert float(make_loss()(host["x"], host["t"] > 0.5, host["w"], 2)[0]) == float(want)
    column, values = LOGITS[:, :1], OTHER[:, 0]
    loss_fn = make_loss("regression", num_classes=1)
    assert float(loss_fn(column, values)[0]) == float(loss_fn(column, values[:, None])[0])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_narrow_logits_give_float32_losses(dtype):
    total, components = make_loss()(LOGITS.astype(dtype), CLASS, WEIGHTS.astype(dtype), 3)
    want = make_loss()(LOGITS.astype(dtype).astype(jnp.float32), CLASS, WEIGHTS.astype(dtype), 3)[0]
    assert total.dtype == jnp.float32
    assert all(value.dtype == jnp.float32 for value in components.values())
    # The inputs are the same numbers, so nothing but the dtype of the arithmetic could differ.
    assert float(total) == float(want)


BAD = {
    "float classes": (make_loss(), LOGITS, CLASS.astype(jnp.float32), "targets"),
    "labels of another width": (make_loss(), LOGITS, LABEL[:, :3], "targets"),
    "rows missing": (make_loss(), LOGITS, LABEL[:3], "targets"),
    "classes where labels were promised": (make_loss(multilabel=True), LOGITS, CLASS, "multilabel is true"),
    "labels where classes were promised": (make_loss(multilabel=False), LOGITS, LABEL, "multilabel is false"),
    "a column that would broadcast": (make_loss("regression"), LOGITS, OTHER[:, 0], "targets"),
    "no rows": (make_loss(), LOGITS[:0], CLASS[:0], "logits"),
}


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize("name", BAD)
def test_wrong_targets_are_refused(name):
    loss_fn, logits, targets, says = BAD[name]
    with pytest.raises(InputError, match=says):
        loss_fn(logits, targets)


def hinge(logits):
    """The top probability of every row, in float64."""
    odds = np.exp(np.asarray(logits, np.float64))
    return (odds / odds.sum(-1, keepdims=True)).max(-1)


def test_confidence_term_is_a_hinge_on_what_seeing_more_takes_away():
    loss_fn = make_loss(confidence_coeff=3.0, consistency_ramp_epochs=4)
    for epoch, share in ((2, 0.5), (9, 1.0)):
        _, components = loss_fn(LOGITS, CLASS, epoch=epoch, full_logits=OTHER)
        want = share * 3.0 * np.maximum(hinge(LOGITS) - hinge(OTHER), 0).mean()
        assert want > 0
        # Float32 probabilities.
        assert float(components["confidence_loss"]) == pytest.approx(want, rel=1e-5)
    part, full = jax.grad(
        lambda pair: loss_fn(pair[0], CLASS, epoch=9, full_logits=pair[1])[1]["confidence_loss"]
    )((LOGITS, OTHER))  # fmt: skip
    falls = hinge(LOGITS) > hinge(OTHER)
    for gradient in (part, full):
        assert (np.abs(gradient).sum(-1) > 0).tolist() == falls.tolist()
    assert "confidence_loss" in loss_fn(LOGITS, CLASS)[1]
    assert float(make_loss("regression", confidence_coeff=3.0)(LOGITS, OTHER)[1]["confidence_loss"]) == 0


@pytest.mark.parametrize(("task", "targets"), TASKS[:3], ids=TASK_NAMES[:3])
def test_unimodal_term_is_the_loss_of_what_each_present_modality_says_mean_over_rows(task, targets):
    loss_fn, plain = make_loss(task, unimodal_coeff=0.5), make_loss(task)
    present = np.asarray(WEIGHTS > 0.15)
    said = jnp.where(present.T[..., None], ALONE, jnp.nan)
    want = sum(present[:, m].mean() * float(plain(ALONE[m, present[:, m]], targets[present[:, m]])[1]["primary_loss"])
               for m in range(MODALITIES))  # fmt: skip
    for given in ({"alone_logits": said}, {"experts": jnp.moveaxis(said, 0, 1)}):
        found = loss_fn(LOGITS, targets, present=present, **given)[1]
        # Float32 means of the same numbers in another order.
        assert float(found["unimodal_loss"]) == pytest.approx(0.5 * want, rel=1e-5)
    gradient = jax.grad(lambda x: loss_fn(LOGITS, targets, present=present, alone_logits=x)[0])(said)
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[~present.T] == 0).all()


def test_unimodal_term_of_embeddings_lets_absent_modalities_say_nothing():
    present = np.asarray(WEIGHTS > 0.15)
    loss_fn, plain = make_loss("embedding", unimodal_coeff=1.0), make_loss("embedding")
    found = loss_fn(LOGITS, OTHER, present=present, alone_logits=ALONE)[1]["unimodal_loss"]
    want = sum(float(plain(jnp.where(present[:, m, None], ALONE[m], 0.0), OTHER)[1]["primary_loss"])
               for m in range(MODALITIES))  # fmt: skip
    # Float32.
    assert float(found) == pytest.approx(want, rel=1e-5)


def test_experts_that_are_trained_separately_have_no_other_term():
    total, components = make_loss(fusion="poe", confidence_coeff=1.0, consistency_coeff=1.0)(
        LOGITS, CLASS, WEIGHTS, 9, full_logits=OTHER, experts=jnp.moveaxis(ALONE, 0, 1)
    )
    assert float(total) == float(components["unimodal_loss"]) > 0
