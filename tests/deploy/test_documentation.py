"""The snippets of docs/deployment.md run, in order, and its commands are those of the command line."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aecf_jax.config import AECFConfig
from aecf_jax.deploy._readme import readme

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "deployment.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.usefixtures("untyped_caller")
def test_snippets_run_in_order(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in SNIPPETS:
        exec(compile(snippet, "docs/deployment.md", "exec"), names)
    assert "{'entropy': (5,), 'probabilities': (5, 3), 'weights': (5, 2)}" in capsys.readouterr().out
    everything, without, mixed = (names[name] for name in ("everything", "without_text", "row_by_row"))
    # Padded to the same size, they are the same program's.
    np.testing.assert_array_equal(mixed.output[:2], without.output[:2])
    np.testing.assert_array_equal(mixed.output[2:], everything.output[2:])
    assert np.abs(everything.output - without.output).max() > 1e-4


@pytest.mark.parametrize("verb", ["export", "predict"])
def test_flags_of_the_page_exist(verb):
    lines = re.findall(rf"^aecf-jax {verb} (.*?)(?:  #.*)?$", PAGE, re.MULTILINE)
    assert lines
    command = [sys.executable, "-c", "from aecf_jax.cli import main; main()", verb, "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [flag for line in lines for flag in re.findall(r"--[a-z]+", line) if flag not in shown] == []


def test_readme_of_a_bundle_is_the_loader_of_the_page():
    config = AECFConfig(modalities=("image", "text"), input_dims=(16, 8), num_classes=3)
    (ours,) = re.findall(r"```python\n(.*?)```", readme(config), re.DOTALL)
    loader = next(snippet for snippet in SNIPPETS if "deserialize" in snippet).replace("bundle/", "")
    assert [line for line in loader.splitlines() if line] == [re.sub("  #.*", "", line) for line in ours.splitlines()]
