"""The migration page: its Python runs, and every name that it promises exists."""

import re
from pathlib import Path

import numpy as np

import aecf_jax

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1:4] for line in PAGE.splitlines() if line.startswith("| `")]


def test_python_runs_and_means_what_it_says():
    names: dict[str, object] = {"__name__": "migration"}
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)):
        exec(compile(block, f"docs/migration.md, Python block {number}", "exec"), names)
    assert names["again"].to_legacy_dict() == names["config"].from_dict(names["cfg"]).to_legacy_dict() | {
        "lr": 1e-4, "cec_coef": 0.2
    }  # fmt: skip
    np.testing.assert_allclose(names["coefficient"], 0.1, atol=1e-7)
    assert names["info"].attention_weights[0, 0, 2] == 0
    assert names["fused"].shape == (8, 1, 16)


def test_every_new_name_is_public():
    for _, new, _ in ROWS:
        name, *attribute = re.findall(r"`([^`(]+)", new)[0].split(".")
        assert name in aecf_jax.__all__, new
        assert all(hasattr(getattr(aecf_jax, name), part) for part in attribute), new


def test_every_public_name_has_its_line():
    wheel = {"CurriculumMasking", "MultimodalAttentionPool", "multimodal_attention_pool", "create_fusion_pool"}
    old = {re.findall(r"`([\w.]+)", line[0])[0] for line in ROWS}
    ours = {"Checkpoints", "DataConfig", "Dataset", "load_splits", "evaluate_subsets", "AECF", "import_checkpoint"}
    assert wheel <= old
    assert {name for name in aecf_jax.__all__ if name in old} >= {
        "AECFConfig",
        "AECFTrainer",
        "AECF_CLIP_Legacy",
    } | wheel
    assert ours.isdisjoint(old)
