"""When checkpoints are written, and what waits in memory until then."""

import jax.numpy as jnp
import numpy as np
import pytest

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.trainer._keeper import Keeper


class _Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def _tree(value):
    return {"x": jnp.full(4, value, jnp.float32)}


@pytest.fixture
def kept(tmp_path):
    """A keeper that writes every ten seconds, its checkpoints and its clock."""
    checkpoints, clock = Checkpoints(tmp_path, keep_best=2), _Clock()
    yield Keeper(checkpoints, 2, 10.0, clock), checkpoints, clock
    checkpoints.close()


def _steps(checkpoints):
    checkpoints.wait()
    return checkpoints.steps()


def test_first_is_written_and_the_next_only_after_a_while(kept):
    keeper, checkpoints, clock = kept
    keeper.offer(1, _tree(1), {}, 5.0)
    keeper.offer(2, _tree(2), {}, 6.0)
    assert _steps(checkpoints) == (1,)
    clock.now = 10.0
    keeper.offer(3, _tree(3), {}, 7.0)
    assert _steps(checkpoints) == (1, 2, 3)


def test_best_that_waits_is_not_lost(kept):
    keeper, checkpoints, _ = kept
    for step, score in enumerate([9.0, 1.0, 2.0, 3.0, 4.0, 5.0], start=1):
        keeper.offer(step, _tree(step), {"step": step}, score)
    assert _steps(checkpoints) == (1,)
    keeper.write_held()
    checkpoints.wait()
    assert {2, 3, 6} <= set(checkpoints.steps())
    best = checkpoints.restore_best(_tree(0))
    assert (best.step, best.meta) == (2, {"step": 2})
    np.testing.assert_array_equal(best.state["x"], np.full(4, 2.0))


def test_what_is_no_longer_among_the_best_is_let_go(kept):
    keeper, _, _ = kept
    for step in range(1, 30):
        keeper.offer(step, _tree(step), {}, 100.0 - step)
    assert len(keeper._held) == 2


def test_scores_of_an_earlier_process_count(tmp_path):
    first = Checkpoints(tmp_path, keep_best=1)
    first.save(1, _tree(1), {}, metric=0.5)
    first.close()
    keeper = Keeper(Checkpoints(tmp_path, keep_best=1), 1, 10.0, _Clock())
    keeper.offer(2, _tree(2), {}, 0.9)
    keeper.offer(3, _tree(3), {}, 0.7)
    keeper.offer(4, _tree(4), {}, 0.8)
    assert set(keeper._held) == {4}


def test_score_that_is_not_finite_is_never_among_the_best(kept):
    keeper, checkpoints, _ = kept
    for step, score in enumerate([float("nan"), None, 3.0, float("nan"), None], start=1):
        keeper.offer(step, _tree(step), {}, score)
    keeper.write_held()
    checkpoints.wait()
    assert checkpoints.best_step() == 3
    assert {3, 5} <= set(_steps(checkpoints))


def test_same_step_twice_is_written_once(kept):
    keeper, checkpoints, clock = kept
    keeper.offer(1, _tree(1), {}, 5.0)
    clock.now = 100.0
    keeper.offer(1, _tree(1), {}, None)
    keeper.write_held()
    assert _steps(checkpoints) == (1,)


def test_last_good_checkpoint_is_written_before_it_is_named(kept):
    keeper, checkpoints, _ = kept
    assert keeper.last_good() == "nothing was saved yet"
    keeper.offer(1, _tree(1), {}, 5.0)
    keeper.offer(2, _tree(2), {}, 5.0)
    assert keeper.last_good() == f"the last good checkpoint is {checkpoints.path(2)}"
    assert _steps(checkpoints) == (1, 2)
