"""docs/comparison.md: its snippets run, and its table of levels is that in the recipe's header."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")


def test_snippets_run(capsys):
    names: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)):
        exec(compile(block, f"docs/comparison.md, block {number}", "exec"), names)
    printed = capsys.readouterr().out
    assert "| NLL | all modalities | gate − mean |" in printed
    assert printed.splitlines()[-1] in ("the gate is used", "the gate is not used", "no evidence either way")


def test_levels_are_those_of_the_recipe():
    recipe = (ROOT / "experiments" / "comparison.py").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S.*?) \| (0\.\d{3}(?: ± 0\.\d{3})?) \|$", PAGE, re.MULTILINE)
    header = re.findall(r"^  (\S.*?)  +(0\.\d{3}(?: ± 0\.\d{3})?)$", recipe, re.MULTILINE)
    assert rows == header
    assert len(rows) >= 11
