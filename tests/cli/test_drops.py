"""`aecf-jax evaluate --drops` and `--curve`, and docs/drops.md, which shows them."""

import json
import re
from pathlib import Path

import pytest

from aecf_jax.cli import main
from aecf_jax.cli._drops import parsed_drops
from aecf_jax.data import DropTable
from aecf_jax.evaluate import RobustnessCurve, require_comparable

DOCS = (Path(__file__).parents[2] / "docs" / "drops.md").read_text(encoding="utf-8")


def succeed(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_drops_are_printed_saved_and_used_again(work, capsys):
    first = succeed(capsys, "evaluate", "run", "--drops", "mcar:0.5,seed=3")
    (path,) = Path("run/drops").iterdir()
    table = DropTable.load(path)
    assert path.name == f"{table.hash[:12]}.json"
    assert (table.mechanism, table.seed, dict(table.parameters)) == ("mcar", 3, {"rate": 0.5})
    assert f"drop table {table.hash} (mcar, seed 3)" in first
    for name, share in table.marginals().hidden.items():
        assert re.search(rf"{name} +12 +{share:.4f}", first)
    assert "rows by visible modalities: 0: 0.0%, 1: " in first
    assert re.search(r"accuracy 0\.\d{4} \(95% interval 0\.\d{4} to [01]\.\d{4}\)", first)
    assert f"saved: {path}" in first
    assert succeed(capsys, "evaluate", "run", "--drops", path) == first
    assert list(Path("run/drops").iterdir()) == [path]


@pytest.mark.parametrize(("curve", "tables"), [("mnar:strength=0.5", 10), ("exact", 0)])
def test_a_curve_is_printed_saved_and_drawn(work, capsys, curve, tables):
    printed = succeed(capsys, "evaluate", "run", "--curve", curve)
    assert len(re.findall(r"^ +0(?:\.\d)? +0\.\d{3} +[01]\.\d{4} ", printed, re.MULTILINE)) == 10
    assert len(list(Path("run").glob("drops/*.json"))) == tables
    (path,) = Path("run/curves").glob("*.json")
    assert path.name.startswith("exact-" if curve == "exact" else "mnar-")
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    saved = json.loads(path.read_text())
    content = {name: RobustnessCurve.from_dict(saved[name]) for name in ("curve", "late_fusion")}
    require_comparable(content["curve"], content["late_fusion"])
    assert f"{content['curve'].area['accuracy'].value:.4f}" in printed
    if curve == "exact":
        found = json.loads(succeed(capsys, "evaluate", "run", "--curve", curve, "--json"))
        assert RobustnessCurve.from_dict(found["curve"]) == content["curve"]
        assert (found["part"], str(path) in found["files"]) == ("test", True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--drops", "mcra:0.5"], "`drops` must be a file, or begin with one of mcar, mar, mnar, exclusive, bursts; "),
        (["--drops", "mcar:half"], "`drops` must have a number where it has 'half'; got mcar:half."),
        (["--drops", "bursts:0.5,length=2.5"], "`drops` must have a whole number where it has '2.5'; got "),
        (["--drops", "mcar:0.5,image=0.2"], "`drops` must have one rate for all, or one by modality; got "),
        (["--drops", "mcar:imago=0.2"], "`rate` must name modalities that may be hidden, image, text; got imago."),
        (["--drops", "mcar"], "`rate` must be given for mcar drops; got None."),
        (["--drops", "none.json"], "`none.json` must exist; got no such file."),
        (["--drops", ""], "`drops` must be a file, or begin with one of "),
        (["--curve", "mcar:0.5"], "`curve` must be without a rate: it has all of them; got mcar:0.5."),
        (["--curve", "mcar", "--drops", "mcar:1"], "`curve` must not be given with --drops; got mcar."),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(work, capsys, arguments, error):
    assert main(["evaluate", "run", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"aecf-jax: {error}")
    assert said.count("\n") == 1
    assert not Path("run/drops").exists()


def test_table_of_another_part_is_refused(work, capsys):
    succeed(capsys, "evaluate", "run", "--drops", "mcar:0.5")
    (path,) = Path("run/drops").iterdir()
    assert main(["evaluate", "run", "--part", "train", "--drops", str(path)]) == 2
    assert "`drop table` must have 36 rows" in capsys.readouterr().err


# docs/drops.md


def test_snippets_of_the_docs_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "drops"}
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)):
        exec(compile(block, f"docs/drops.md, Python block {number}", "exec"), names)
    assert re.match(r"[0-9a-f]{64}\n", capsys.readouterr().out)


def test_commands_of_the_docs_parse():
    given = re.findall(r"^aecf-jax evaluate RUN --(drops|curve) (\S+)$", DOCS, re.MULTILINE)
    assert len(given) == 7
    for flag, text in given:
        if text != "exact" and not text.endswith(".json"):
            assert ("rate" in parsed_drops(text)[1]) == (flag == "drops")


def test_shares_of_the_docs_are_right():
    assert "of two modalities at r = 0.9, 47 % each" in DOCS
    assert round(100 * (0.9 - 0.9**2) / (1 - 0.9**2)) == 47
