"""`aecf-jax bench`: every part runs, nothing is compiled twice, and what is printed is what is written."""

import json

import jax
import pytest

from aecf_jax.cli import main

PARTS = ["train", "infer", "evaluate", "metrics", "data"]


def test_every_part_is_measured_and_nothing_is_compiled_after_its_first_turns(tmp_path, capsys):
    cache = jax.config.jax_compilation_cache_dir
    out = tmp_path / "new" / "bench.json"
    assert main(["bench", "--quick", "--out", str(out)]) == 0
    assert jax.config.jax_compilation_cache_dir == cache
    found = json.loads(out.read_text())
    figures = found["figures"]
    assert list(dict.fromkeys(figure["part"] for figure in figures)) == PARTS
    assert [figure["recompiled"] for figure in figures] == [0] * len(figures)
    for figure in figures:
        low, high = figure["quartiles"]
        assert 0 < low <= figure["seconds"] <= high
        assert figure["rate"] == pytest.approx(figure["amount"] / figure["seconds"])
        assert (figure["share"] is None) == (figure["part"] not in ("train", "infer"))
    (step, half), rows = [figure for figure in figures if figure["part"] == "train"], found["workload"]["batch"]
    # Forward and the kernels' gradients of gate and head, 2 operations a term; the rest is element by element.
    products = 4 * rows * (2 * 16 * 32 + 16 * 4) + 6 * rows * 32 * 2
    for figure in (step, half):
        assert products < figure["operations"] / (figure["amount"] / rows) < 2.5 * products
        assert figure["cost"]["compiled"] > figure["cost"]["from_cache"] > 0
    printed = capsys.readouterr().out
    assert "programs compiled after the first turns: 0" in printed
    assert f"{1e3 * step['seconds']:.2f}" in printed
    assert f"compiled in {step['cost']['compiled']:.2f} s" in printed


def test_json_is_printed_where_asked_and_sizes_are_checked(capsys):
    assert main(["bench", "metrics", "--quick", "--json"]) == 0
    assert {figure["part"] for figure in json.loads(capsys.readouterr().out)["figures"]} == {"metrics"}
    assert main(["bench", "--batch", "0"]) == main(["bench", "--repeats", "1"]) == 2
    assert main(["bench", "--rows", "8"]) == 2
    errors = capsys.readouterr().err
    assert "`batch` must be positive; got 0." in errors
    assert "`repeats` must be at least 2" in errors
    assert "`batch` must be at most the rows, 8; got 512." in errors
