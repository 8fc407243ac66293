"""What is read of the processor, and what follows for products."""

import jax
import pytest

from aecf_jax.ops import _processor

CORE = "vendor_id\t: AuthenticAMD\nmodel name\t: A: B\nflags\t\t: fpu avx2{}\n\n"


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Lets Linux say something of the cores."""

    def of(text):
        path = tmp_path / "cpuinfo"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(_processor, "_SAID", path)
        _processor.processor.cache_clear()

    yield of
    _processor.processor.cache_clear()


def test_the_first_core_speaks_for_all(said):
    said(CORE.format("") + CORE.format(" avx512_bf16"))
    assert _processor.processor() == {"vendor_id": "AuthenticAMD", "model name": "A: B", "flags": "fpu avx2"}


@pytest.mark.parametrize(
    ("text", "multiplies"),
    [
        (CORE.format(""), False),
        (CORE.format(" avx512_bf16_like"), False),
        (CORE.format(" avx512_bf16"), True),
        (CORE.format(" amx_bf16 amx_tile"), True),
        ("Features\t: fp asimd\n\n", True),
        ("", True),
    ],
)
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of CPUs")
def test_bfloat16_is_multiplied_unless_the_instructions_are_known_to_lack_it(said, text, multiplies):
    said(text)
    assert _processor.multiplies_bfloat16() is multiplies


def test_where_nothing_is_said_nothing_is_known(said, tmp_path, monkeypatch):
    said("")
    monkeypatch.setattr(_processor, "_SAID", tmp_path / "nothing")
    assert _processor.processor() == {}


def test_other_devices_multiply_bfloat16(said, monkeypatch):
    said(CORE.format(""))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert _processor.multiplies_bfloat16()
