"""What XLA is told on CPUs: to compile soon, to add up alike, and to multiply where it is faster than its library."""

import re

import jax
import jax.numpy as jnp
import pytest

from aecf_jax.config import AECFConfig, Workload
from aecf_jax.ops import _processor
from aecf_jax.train import _compiled, compiler_options
from aecf_jax.train._programs import program_config
from tests.train.small import small_config

LEVEL, LIBRARY = "xla_backend_optimization_level", "xla_cpu_experimental_ynn_fusion_type"


INTEL, AMD = {"vendor_id": "GenuineIntel"}, {"vendor_id": "AuthenticAMD"}
LARGE = Workload(rows=512).config()


@pytest.fixture
def told(monkeypatch):
    """What is asked of XLA on a processor of some maker."""

    def of(maker, config=LARGE):
        monkeypatch.setattr(_processor, "processor", lambda: maker)
        return compiler_options(config)

    return of


def test_large_products_are_by_xla_on_intel_alone_and_not_in_bfloat16(told, monkeypatch):
    by_library = told(AMD)
    half, few = LARGE.update(mixed_precision=True), LARGE.update(batch_size=1)
    assert by_library == told(AMD, half) == told({}) == told(INTEL, None) == told(INTEL, AECFConfig())
    monkeypatch.setattr(_compiled, "multiplies_bfloat16", lambda: True)
    assert told(INTEL, half) == by_library
    monkeypatch.setattr(_compiled, "multiplies_bfloat16", lambda: False)
    # What programs are made of, which does not know the batch, says the same.
    assert told(INTEL, half) == told(INTEL, few) == told(INTEL, program_config(LARGE)) == told(INTEL)
    assert by_library[LIBRARY].endswith("_DOT")
    by_xla = told(INTEL)
    assert by_xla[LIBRARY] != by_library[LIBRARY]
    assert by_xla[LEVEL] == by_library[LEVEL] == "1"


@pytest.mark.parametrize("maker", [INTEL, AMD], ids=["Intel", "AMD"])
def test_options_are_understood_and_products_are_the_same_but_for_rounding(told, maker):
    x = jax.random.normal(jax.random.key(0), (64, 96))
    product = jax.jit(lambda x: x @ x.T, compiler_options=told(maker))(x)
    assert jnp.allclose(product, x @ x.T, atol=1e-4)


def test_an_xla_that_does_not_know_the_library_compiles_all_the_same(told, monkeypatch):
    monkeypatch.setattr(_compiled, "_SUMS_ALIKE", {"xla_cpu_no_such_option": "DOT"})
    assert LIBRARY not in told(AMD)
    assert told(AMD)[LEVEL] == "1"


def test_a_sum_over_many_rows_is_one_kernel(told):
    compiled = jax.jit(lambda x: jnp.sum(jnp.exp(x), axis=0), compiler_options=told(AMD)).lower(jnp.ones((512, 8)))
    assert len(re.findall(r" (?:fusion|reduce)\(", compiled.compile().as_text().split("ENTRY")[1])) == 1


def test_nothing_is_told_to_other_platforms(told, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert told(INTEL) is None


def test_a_configuration_says_what_products_are_of(monkeypatch):
    asked, traced = [], []
    monkeypatch.setattr(_compiled, "compiler_options", asked.append)

    @_compiled.compiled(static_argnames="config")
    def double(x, *, config=None):
        traced.append(config)
        return 2 * x

    configs = (LARGE, small_config(), small_config(), None)
    for config in configs:
        assert int(double(3, config=config)) == 6
    assert asked == list(configs)
    assert traced == [LARGE, small_config(), None]
