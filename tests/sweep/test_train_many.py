"""Many runs are what the trainer makes of each, one after another, side by side and in processes."""

import jax
import numpy as np
import pytest

from aecf_jax import AECFTrainer
from aecf_jax.sweep import Progress, train_many
from tests.train.small import small_arrays, small_config

TRAIN, CHECKS = small_arrays(48), small_arrays(24, seed=1)


def _configs(**changes):
    base = small_config(epochs=3, batch_size=8, fusion="concat", **changes)
    return [base.update(seed=seed, learning_rate=rate) for seed, rate in ((0, 1e-2), (1, 1e-2), (0, 3e-3))]


@pytest.fixture(scope="module")
def sequence():
    return train_many(_configs(fit_temperature=True), TRAIN, CHECKS, how="sequence")


def _close(left, right, atol):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), left, right)


def test_a_run_is_what_the_trainer_makes_of_it(sequence, tmp_path):
    trainer = AECFTrainer(sequence[2].config, run_dir=tmp_path)
    result = trainer.fit(TRAIN, CHECKS)
    _close(dict(sequence[2].model.variables), dict(trainer.model.variables), 1e-5)
    assert sequence[2].val_loss == pytest.approx(result["best_model_score"], abs=1e-5)
    assert (sequence[2].epochs, sequence[2].ended) == (3, "completed")


def test_side_by_side_is_one_after_another(sequence):
    told: list[Progress] = []
    together = train_many([run.config for run in sequence], TRAIN, CHECKS, how="vmap", progress=told.append)
    for one, other in zip(sequence, together, strict=True):
        _close(dict(one.model.variables), dict(other.model.variables), 1e-5)
    assert told[-1].done == pytest.approx(3)
    assert [round(one.done) for one in told] == sorted(round(one.done) for one in told)


def test_runs_differ_in_seed_and_in_rate(sequence):
    losses = {run.val_loss for run in sequence}
    assert len(losses) == 3
