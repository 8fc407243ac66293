"""Contrastive losses against their equations, written as loops in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aecf_jax.losses import info_nce, supervised_contrastive

BATCH, WIDTH, TAU = 8, 16, 0.07
# Numbers of float16, so that squares of the smallest do not vanish in float32.
ROWS = hnp.arrays(np.float32, (BATCH, WIDTH), elements=st.floats(-10, 10, width=16))
GROUPS = hnp.arrays(np.int32, BATCH, elements=st.integers(0, 3))


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b) / scale if scale else 0.0


def info_nce_oracle(predictions, targets):
    total = 0.0
    for i in range(len(predictions)):
        own = cosine(predictions[i], targets[i]) / TAU
        to_target = [cosine(predictions[i], t) / TAU for t in targets]
        to_prediction = [cosine(p, targets[i]) / TAU for p in predictions]
        total += sum(math.log(math.fsum(math.exp(s - own) for s in scores)) for scores in (to_target, to_prediction))
    return total / (2 * len(predictions))


def supervised_oracle(rows, groups):
    losses = []
    for i in range(len(rows)):
        others = [a for a in range(len(rows)) if a != i]
        positives = [p for p in others if groups[p] == groups[i]]
        if positives:
            scores = {a: cosine(rows[i], rows[a]) / TAU for a in others}
            log_all = math.log(math.fsum(math.exp(s) for s in scores.values()))
            losses.append(-math.fsum(scores[p] - log_all for p in positives) / len(positives))
    return math.fsum(losses) / len(losses) if losses else 0.0


@given(ROWS, ROWS)
def test_info_nce_equals_its_equation(predictions, targets):
    got = float(info_nce(jnp.asarray(predictions), jnp.asarray(targets), temperature=TAU))
    # float32 cosines are good to 1e-6 and are divided by 0.07.
    assert got == pytest.approx(info_nce_oracle(predictions, targets), rel=1e-5, abs=5e-5)


@given(ROWS, GROUPS)
def test_supervised_contrastive_equals_its_equation(rows, groups):
    got = float(supervised_contrastive(jnp.asarray(rows), jnp.asarray(groups), temperature=TAU))
    # As above.
    assert got == pytest.approx(supervised_oracle(rows, groups), rel=1e-5, abs=5e-5)


def test_info_nce_ignores_length_and_falls_when_rows_meet_their_targets():
    key_a, key_b = jax.random.split(jax.random.key(0))
    predictions, targets = jax.random.normal(key_a, (BATCH, WIDTH)), jax.random.normal(key_b, (BATCH, WIDTH))
    # Scaling by a power of two is exact, so the directions are the same bits.
    assert float(info_nce(4.0 * predictions, targets)) == float(info_nce(predictions, targets))
    gradient = jax.grad(info_nce)(predictions, targets)
    assert float(info_nce(predictions - 0.1 * gradient, targets)) < float(info_nce(predictions, targets))
    assert float(info_nce(targets, targets)) < 0.1 < float(info_nce(predictions, targets))


@pytest.mark.parametrize("value", [0.0, 1e4, -1e4, 1e-12])
def test_gradients_are_finite_for_zero_and_saturated_embeddings(value):
    rows = jnp.full((BATCH, WIDTH), value)
    other = jax.random.normal(jax.random.key(1), (BATCH, WIDTH))
    groups = jnp.asarray([0, 0, 1, 1, 2, 2, 3, 4])
    for loss in (lambda x: info_nce(x, other), lambda x: supervised_contrastive(x, groups)):
        got, gradient = jax.value_and_grad(loss)(rows)
        assert np.isfinite(got)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("rows", [1, 4])
def test_nothing_to_contrast_is_0_with_a_gradient_of_0(rows):
    embeddings = jax.random.normal(jax.random.key(2), (rows, WIDTH))
    value, gradient = jax.value_and_grad(supervised_contrastive)(embeddings, jnp.arange(rows))
    assert float(value) == 0.0
    assert (np.asarray(gradient) == 0).all()


def test_info_nce_of_one_row_is_0():
    row = jnp.ones((1, WIDTH))
    assert float(info_nce(row, -row)) == 0.0
