"""Where an epoch is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aecf_jax.config import AECFConfig
from aecf_jax.trainer._plan import LONGEST_CHUNK, Limits, Plan


@given(rows=st.integers(1, 20_000), batch_size=st.integers(1, 600), interval=st.floats(0.01, 1.0))
def test_chunks_have_two_lengths_and_end_where_validations_do(rows, batch_size, interval):
    plan = Plan.of(AECFConfig(batch_size=batch_size, val_check_interval=interval, epochs=2), rows, Limits())
    step, lengths, validated = 0, [], []
    while step < plan.total_steps:
        lengths.append(plan.chunk_length(step))
        step += lengths[-1]
        if plan.validates_at(step):
            validated.append(step)
    assert step == plan.total_steps
    assert 1 <= min(lengths) <= max(lengths) <= LONGEST_CHUNK
    assert len(set(lengths)) <= 2
    assert {plan.steps_per_epoch, plan.total_steps} <= set(validated)
    wanted = min(max(1, round(1 / interval)), plan.steps_per_epoch)
    assert len(validated) == 2 * wanted
    assert not plan.validates_at(0)


@pytest.mark.parametrize(("limit", "steps"), [(None, 10), (3, 3), (99, 10), (0.5, 5), (1.0, 10), (0.01, 1)])
def test_limit_of_training_batches(limit, steps):
    config = AECFConfig(batch_size=10, trainer_kwargs={} if limit is None else {"limit_train_batches": limit})
    assert Plan.of(config, 100, Limits.of(config)).steps_per_epoch == steps


@pytest.mark.parametrize(("limit", "rows"), [(None, 100), (3, 30), (99, 100), (0.5, 50), (1.0, 100), (0, 0), (0.0, 0)])
def test_limit_of_validation_batches(limit, rows):
    config = AECFConfig(trainer_kwargs={} if limit is None else {"limit_val_batches": limit})
    assert Limits.of(config).validation_rows(100, 10) == rows


def test_fewer_rows_than_a_batch_make_one_step():
    plan = Plan.of(AECFConfig(batch_size=128), 5, Limits())
    assert (plan.batch_size, plan.steps_per_epoch, plan.bounds) == (5, 1, (1,))
