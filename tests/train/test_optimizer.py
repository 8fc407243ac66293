"""The optimizer: two groups, decay where it belongs, clipping, schedules."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aecf_jax.train import compiler_options, init_state, learning_rate, make_optimizer
from aecf_jax.train._optimizer import global_norm
from tests.train.small import small_config, small_variables

# The schedule's cosine is computed in float32, whose relative spacing is 6e-8.
CLOSE = 1e-6


def _updates(config, gradient: float, *, steps: int = 1):
    """The updates of the last of some steps with one constant gradient."""
    params = jax.tree.map(jnp.ones_like, small_variables(config)["params"])
    optimizer = make_optimizer(config, steps_per_epoch=5)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for _ in range(steps):
        updates, state = update(jax.tree.map(lambda p: jnp.full_like(p, gradient), params), state, params)
    return updates


def _flat(tree) -> dict[str, np.ndarray]:
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_gate_has_its_own_rate_and_no_decay():
    config = small_config(warmup_epochs=0.0, learning_rate=1e-2, gate_learning_rate=3e-3, weight_decay=0.5)
    for path, update in _flat(_updates(config, 1e-3)).items():
        if path.startswith("['fusion']['gate']"):
            expected = -3e-3
        elif update.ndim >= 2:
            expected = -1e-2 * (1 + 0.5)
        else:
            expected = -1e-2
        # Adam's first step is the rate up to eps / |gradient| (the clipped gradient is near 1e-3, eps 1e-8).
        np.testing.assert_allclose(update, expected, rtol=1e-4, err_msg=path)


def test_gate_that_is_disabled_leaves_an_optimizer():
    assert not [path for path in _flat(_updates(small_config(gate_disabled=True), 1e-3)) if "gate" in path]


def test_gradient_is_clipped_by_its_global_norm():
    """Adam forgets a gradient's scale, so clipping shows only where a small gradient follows a large one."""
    config = small_config(warmup_epochs=0.0, gradient_clip_val=1.0)
    params = jax.tree.map(jnp.ones_like, small_variables(config)["params"])
    optimizer = make_optimizer(config, steps_per_epoch=5)

    def moments(scale: float) -> float:
        gradients = jax.tree.map(lambda p: jnp.full_like(p, scale), params)
        _, state = jax.jit(optimizer.update)(gradients, optimizer.init(params), params)
        firsts = [s.mu for s in jax.tree.leaves(state, is_leaf=_is_adam) if _is_adam(s)]
        return float(optax.tree.norm(firsts)) / (1 - 0.9)

    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert moments(1e3) == pytest.approx(1.0, rel=1e-4)
    assert moments(1e-4) == pytest.approx(1e-4 * count**0.5, rel=1e-4)


def test_a_norm_of_a_million_numbers_is_exact():
    """Training programs do not split a long sum, which would be off by 4e-5."""
    gradient = np.random.default_rng(0).normal(size=(1024, 2048)).astype(np.float32)
    norm = jax.jit(global_norm, compiler_options=compiler_options())({"kernel": gradient})
    assert float(norm) == pytest.approx(np.linalg.norm(gradient.astype(np.float64)), rel=1e-6)


def _is_adam(state) -> bool:
    return isinstance(state, optax.ScaleByAdamState)


def test_rate_rises_and_falls():
    rates = [float(learning_rate(step, peak=2.0, warmup=4, total=20)) for step in range(21)]
    assert rates[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0], rel=CLOSE)
    assert rates[12] == pytest.approx(1.0, rel=CLOSE)
    assert rates[20] == pytest.approx(0.0, abs=CLOSE)
    assert all(a > b for a, b in itertools.pairwise(rates[4:]))


@pytest.mark.parametrize(("warmup", "total"), [(0, 10), (10, 10), (0, 0)])
def test_rate_is_finite_and_positive_at_the_limits(warmup, total):
    assert 0 < float(learning_rate(0, peak=1.0, warmup=warmup, total=total)) <= 1.0


def test_warmup_longer_than_the_training_is_the_whole_training():
    short = _flat(_updates(small_config(epochs=2, warmup_epochs=50.0), 1e-3, steps=9))
    exact = _flat(_updates(small_config(epochs=2, warmup_epochs=2.0), 1e-3, steps=9))
    for path, update in short.items():
        np.testing.assert_array_equal(update, exact[path])


def test_state_has_the_same_structure_for_any_rate():
    def structure(config):
        params = small_variables(config)["params"]
        return jax.tree.structure(jax.eval_shape(lambda: init_state(params, make_optimizer(config, 5))))

    base = structure(small_config())
    assert structure(small_config(warmup_epochs=0.0, weight_decay=0.0, learning_rate=1.0)) == base


def test_adam_is_that_of_optax_but_for_rounding_and_keeps_its_states():
    config = small_config(warmup_epochs=0.0, gate_learning_rate=1e-2, learning_rate=1e-2, weight_decay=0.0,
                          gradient_clip_val=1e9)  # fmt: skip
    params = small_variables(config)["params"]
    ours, theirs = make_optimizer(config, steps_per_epoch=10**6), optax.adamw(1e-2, weight_decay=0.0)
    states, rng = [ours.init(params), theirs.init(params)], np.random.default_rng(0)
    for step in range(20):
        gradients = jax.tree.map(
            lambda p, at=step: jnp.asarray(rng.normal(0, 10.0 ** -(at % 7), p.shape), p.dtype), params
        )
        found = []
        for index, optimizer in enumerate((ours, theirs)):
            updates, states[index] = jax.jit(optimizer.update)(gradients, states[index], params)
            found.append(updates)
        # Six roundings of float32.
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=4e-7), *found)
    parts = [jax.tree.leaves(state, is_leaf=_is_adam) for state in states]
    counts = [{int(part.count) for part in found if _is_adam(part)} for found in parts]
    assert counts == [{20}, {20}]
