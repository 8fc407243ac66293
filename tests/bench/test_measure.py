"""What is timed takes turns, and a program that is compiled again is seen."""

import jax
import jax.numpy as jnp
import pytest

from aecf_jax.bench import Way, compile_cost, copy_probe, counted_programs, measured, median_ratio, take_turns
from aecf_jax.config import AECFConfig, Workload
from aecf_jax.errors import InputError


def test_ways_take_turns_and_warm_ups_do_not_count():
    calls: list[str] = []
    ways = {name: (lambda name=name: calls.append(name)) for name in ("one", "other")}
    times = take_turns(ways, repeats=3, warmups=2)
    assert calls == ["one", "other"] * 5
    assert {name: (len(taken.wall), len(taken.processor)) for name, taken in times.items()} == {
        "one": (3, 3), "other": (3, 3)
    }  # fmt: skip


def test_a_ratio_is_of_neighbouring_turns():
    # The machine is ten times as slow in the last turn, and the ratio is the same.
    assert median_ratio([2.0, 2.0, 20.0], [1.0, 1.0, 10.0]) == 2


def test_a_way_that_compiles_at_every_turn_is_seen():
    (figure,) = measured("part", {"way": Way(lambda: jax.jit(lambda x: x + 1)(jnp.ones(3)), 1)}, repeats=2)
    assert figure.recompiled == 2
    assert (figure.share, figure.ceiling, figure.cost) == (None, None, None)


def test_the_share_is_of_products_in_the_same_turns():
    product = jax.jit(jnp.matmul)
    x = jnp.ones((512, 512))
    way = Way(lambda: jax.block_until_ready(product(x, x)), 512, operations=2 * 512**3)
    (figure,) = measured("part", {"way": way}, repeats=3)
    assert figure.share > 0
    assert figure.recompiled == 0
    assert figure.ceiling > 1e9


def test_programs_are_counted_while_they_are_asked_for_and_no_longer():
    with counted_programs() as count:
        jax.jit(lambda x: x * 3)(jnp.ones(5))
        inside = count()
    jax.jit(lambda x: x * 4)(jnp.ones(5))
    assert count() == inside >= 1


def test_the_users_compile_cache_is_left_as_it_was():
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", "jax_enable_compilation_cache")
    before = [getattr(jax.config, name) for name in names]
    with pytest.raises(ZeroDivisionError):
        compile_cost(lambda: 1 / 0)
    assert [getattr(jax.config, name) for name in names] == before


def test_a_copy_reads_and_writes():
    probe = copy_probe(megabytes=1, calls=3)
    probe.work()
    assert probe.size == 6 * 2**20


def test_the_workload_is_the_pytorch_generations_model():
    work = Workload(num_modalities=3, width=8, labels=5, batch=4, gate=16)
    expected = AECFConfig.pytorch(modalities=("m0", "m1", "m2"), feat_dim=8, num_classes=5, batch_size=4,
                                  gate_hidden_dims=(16,), mixed_precision=False, gate_dropout=0.0)  # fmt: skip
    assert work.config(gate_dropout=0.0) == expected
    with pytest.raises(InputError, match="`batch` must be at most the rows, 3"):
        Workload(rows=3, batch=4)
