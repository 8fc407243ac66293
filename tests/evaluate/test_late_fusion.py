"""The late-fusion baseline: against the mean of probabilities in float64, with modalities that are missing."""

import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError
from aecf_jax.evaluate import late_fusion, predict, robustness_curve
from aecf_jax.model import AECF_CLIP
from tests.evaluate.test_robustness import CONFIG, SMALL, WIDTHS, make_rows


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize(("multilabel", "probability"), [(False, softmax), (True, sigmoid)])
def test_prediction_is_the_mean_of_what_visible_modalities_say(multilabel, probability):
    config = CONFIG.update(multilabel=multilabel)
    models = {"text": AECF_CLIP(config), "image": AECF_CLIP(config.update(seed=1))}
    rows = make_rows(missing=0.5)
    prior = np.array([0.5, 0.3, 0.2])
    found = probability(late_fusion(models, prior=prior)(rows))
    each = {
        name: probability(
            predict(model, rows, present=np.array([own == name for own in WIDTHS])).output.astype(np.float64)
        )
        for name, model in models.items()
    }
    counts = set()
    for row in range(len(rows)):
        seen = [each[name][row] for name in models if rows.present[row, rows.modalities.index(name)]]
        counts.add(len(seen))
        # The model's logits are float32; all else is float64.
        np.testing.assert_allclose(found[row], np.mean(seen, axis=0) if seen else prior, rtol=1e-6)
    assert counts == {0, 1, 2}


def test_without_a_prior_nothing_says_that_all_are_as_likely():
    nothing = make_rows(missing=1)
    np.testing.assert_allclose(softmax(late_fusion({"text": AECF_CLIP(CONFIG)})(nothing)), 1 / 3)
    labels = late_fusion({"text": AECF_CLIP(CONFIG.update(multilabel=True))})(nothing)
    np.testing.assert_array_equal(labels, np.zeros((50, 3)))


def test_a_model_may_have_one_modality():
    config = AECFConfig(modalities=("text",), input_dims=(3,), num_classes=3, multilabel=False, **SMALL)
    model, rows = AECF_CLIP(config), make_rows()
    found = late_fusion({"text": model})(rows)
    output = predict(model, rows).output
    seen = rows.present[:, 1]
    np.testing.assert_allclose(softmax(found)[seen], softmax(output.astype(np.float64))[seen], rtol=1e-6)


def test_baseline_has_a_curve_on_the_model_s_own_tables():
    model, rows = AECF_CLIP(CONFIG), make_rows()
    ours, baseline = (robustness_curve(one, rows, (0.0, 0.5), draws=10) for one in
                      (model, late_fusion(dict.fromkeys(WIDTHS, model))))  # fmt: skip
    gap = ours.effective(baseline)["nll"][1]
    assert gap.value == ours.metrics["nll"][1].value - baseline.metrics["nll"][1].value
    assert gap.low <= gap.high


@pytest.mark.usefixtures("untyped_caller")
@pytest.mark.parametrize(
    ("models", "prior", "error"),
    [
        ({}, None, "`models` must hold a model for at least one modality; got none."),
        ({"image": {"modalities": ("text",)}}, None, "`image` must be a modality of its model; got text."),
        ({"text": {"task_type": "regression", "multilabel": None}}, None, "`text` must be given a classifier; got "),
        ({"text": {"multilabel": None}}, None, "`text` must be given a model whose `multilabel` is True or"),
        ({"text": {}, "image": {"num_classes": 4}}, None, "`image` must be given a model of 3 classes, as the "),
        ({"text": {}}, np.ones(2), "`prior` must be 3 probabilities; got array([1., 1.])."),
        ({"text": {}}, np.full(3, 2.0), "`prior` must be 3 probabilities"),
    ],
)  # fmt: skip
def test_models_that_do_not_fit_are_refused(models, prior, error):
    class Configured:
        def __init__(self, config):
            self.config, self.variables = config, {}

    defaults = {"num_classes": 3, "multilabel": False}
    made = {name: Configured(AECFConfig(**({"modalities": (name,)} | defaults | changes)))
            for name, changes in models.items()}  # fmt: skip
    with pytest.raises(InputError) as raised:
        late_fusion(made, prior=prior)
    assert str(raised.value).startswith(error)
