"""The documents say what is so: the README's commands and snippets, and the table of configuration fields."""

import dataclasses
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from aecf_jax.cli._args import field_docs
from aecf_jax.config import AECFConfig
from aecf_jax.config._checks import TRAINER_KWARGS
from aecf_jax.config._legacy import LEGACY_KEYS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


SHELL_LINES = [line for block in blocks("bash") for line in block.splitlines()]
SET_UP = [line for line in SHELL_LINES if "venv" in line]
VERBS = [line for line in SHELL_LINES if line.startswith("aecf-jax ")]


def test_python_snippets_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    for number, block in enumerate(blocks("python")):
        exec(compile(block, f"README.md, Python block {number}", "exec"), names)
    printed = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split(" ")[0] for line in printed] == ["('image',)", "('text',)", "('image',"]
    assert float(printed[-1].split(" ")[-1]) > 0.7  # chance is 0.25
    assert names["weights"].round(3).tolist()[1:] == [[1, 0], [0, 1]]


def test_two_set_up_commands_install_extras_that_exist():
    assert len(SET_UP) == 2
    for line in SET_UP:
        (extras,) = re.findall(r"pip install -qq -e '\.\[([\w,]+)\]'", line)
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert SET_UP[0].endswith(".venv/bin/aecf-jax train")
    assert "aecf-jax" in PROJECT["scripts"]


def test_second_command_runs_what_ci_runs():
    runner = SET_UP[1].rsplit("/bin/", 1)[1]
    assert f'"$ENVS/newest/bin/pytest" {runner.removeprefix("pytest ")}' in (ROOT / ".ci" / "run").read_text()


VERB_NAMES = [
    "train", "sweep", "evaluate", "calibrate", "predict", "compare", "report", "import", "export", "info", "data",
    "bench",
]  # fmt: skip


@pytest.mark.parametrize("verb", VERB_NAMES)
def test_verbs_and_flags_of_the_readme_exist(verb):
    lines = [shlex.split(line, comments=True) for line in VERBS if line.split()[1] == verb]
    assert lines, "the README shows no such line"
    command = [sys.executable, "-c", "from aecf_jax.cli import main; main()", verb, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    flags = {word for line in lines for word in line if word.startswith("--")}
    assert [flag for flag in flags if not re.search(rf"{flag}\b", done.stdout)] == []


DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "experiments" / "README.md"]


def anchors(document: Path) -> set[str]:
    """What a document's headings are linked by."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", document.read_text(encoding="utf-8"))
    targets = [((document.parent / path).resolve() if path else document, anchor) for path, anchor in links]
    assert [target for target, _ in targets if not target.exists()] == []
    assert [(target.name, anchor) for target, anchor in targets if anchor and anchor not in anchors(target)] == []


def test_every_recipe_has_a_row():
    recipes = {path.name for path in (ROOT / "experiments").glob("*.py") if "\nCommand:" in path.read_text("utf-8")}
    rows = re.findall(r"^\| `(\w+\.py)`", (ROOT / "experiments" / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(recipes - {"check.py"})


# docs/configuration.md


def table_rows(columns: int) -> dict[str, list[str]]:
    """First cell -> the others, of the tables of so many columns whose first cell is code."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in CONFIGURATION.splitlines() if line.startswith("| `")]
    cells = [[cell.strip().replace("\\|", "|") for cell in line] for line in lines if len(line) == columns]
    return {row[0].strip("`"): row[1:] for row in cells}


def shown(value: object) -> str:
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def test_every_field_has_one_row_in_the_order_of_the_class():
    assert list(table_rows(5)) == [field.name for field in dataclasses.fields(AECFConfig)]


@pytest.mark.parametrize("field", dataclasses.fields(AECFConfig), ids=lambda field: field.name)
def test_row_of_a_field_is_true(field):
    default, pytorch, meaning, why = table_rows(5)[field.name]
    assert default == shown(field.default)
    assert pytorch == shown(getattr(AECFConfig.pytorch(), field.name))
    assert meaning == field_docs(AECFConfig)[field.name]
    assert why


def test_legacy_keys_and_trainer_arguments_are_those_of_the_code():
    legacy = {key: f"`{field}`" for key, field in LEGACY_KEYS.items()}
    rows = {name: cells[0] for name, cells in table_rows(2).items()}
    assert rows | legacy == rows
    assert set(rows) == {*LEGACY_KEYS, *TRAINER_KWARGS}
