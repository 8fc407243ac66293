"""`aecf-jax compare RUN RUN ...`: models, or single runs, side by side on the same test rows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aecf_jax.cli._files import existing_run
from aecf_jax.cli._run import best_model, feasible_sizes, read_config, read_data, run_splits, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, make_grid
from aecf_jax.config import AECFConfig, DataConfig
from aecf_jax.data import Dataset, DropTable, make_drops
from aecf_jax.errors import require
from aecf_jax.evaluate import (
    Comparison,
    about_lines,
    compare_models,
    comparison_latex,
    comparison_markdown,
    differences_grid,
    figures_grid,
    network_figures,
)
from aecf_jax.files import write_whole

_ENDINGS = {".md": "markdown", ".tex": "latex", ".json": "json"}
_LONGEST_NAME = 40
RATE = 0.5


class _Run(NamedTuple):
    """A run: its folder, its model's settings, its data's settings, and what its data.json says of the data."""

    folder: Path
    config: AECFConfig
    settings: DataConfig
    described: dict[str, Any]


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after printing or writing the comparison.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if a run has no checkpoint, two runs are of different test rows, or one is given twice.
    """
    use_compile_cache(flags.compile_cache)
    form = _format(flags)
    runs = _runs(flags.runs)
    groups = [[one] for one in runs] if flags.by == "run" else _models(runs)
    names = _names(groups, flags)
    legend = {name: ", ".join(str(one.folder) for one in group) for name, group in zip(names, groups, strict=True)}
    comparison = _comparison(dict(zip(names, groups, strict=True)), flags)
    if form == "table":
        _print(comparison, legend)
        return 0
    text = _text(comparison, legend, form)
    if flags.out is None:
        print(text, end="")
    else:
        write_whole(flags.out, text)
        make_console().print(f"{flags.out}: {comparison.claims}")
    return 0


def _format(flags: Any) -> str:
    """Returns the form of the output, once it is sure that it can be written."""
    out: Path | None = flags.out
    require(flags.draws >= 2, "draws", "be at least 2", flags.draws)
    if out is None:
        return flags.format or "table"
    form = flags.format or _ENDINGS.get(out.suffix)
    require(form is not None, "out", f"end in {', '.join(_ENDINGS)}", str(out), "Or say what to write: --format.")
    require(form != "table", "format", "be markdown, latex or json, to be written to a file", form)
    require(flags.force or not out.exists(), "out", "be a new file", str(out), "Pass --force to replace it.")
    require(out.parent.is_dir(), "out", "be in a folder that exists", str(out))
    return str(form)


def _runs(folders: Sequence[Path]) -> list[_Run]:
    """Returns the runs, of one set of test rows."""
    require(len(folders) > 0, "RUN", "name at least one run", "none")
    runs: list[_Run] = []
    for folder in map(existing_run, folders):
        same = [one.folder for one in runs if one.folder.resolve() == folder.resolve()]
        require(not same, "RUN", "be named once", str(folder))
        runs.append(_Run(folder, read_config(folder), *read_data(folder)))
    for one in runs[1:]:
        differs = _different_rows(one, runs[0])
        require(not differs, "RUN", f"have the test rows of {runs[0].folder}", f"{one.folder}, where {differs}")
    return runs


def _different_rows(one: _Run, first: _Run) -> str:
    """Returns what differs between the test rows of two runs; nothing where they are the same."""
    if one.described["sha256"].get("test") == first.described["sha256"].get("test"):
        return ""
    settings = _differing([one.settings.to_dict(), first.settings.to_dict()])
    described = [{name: run.described.get(name) for name in ("modalities", "widths", "label_kind", "num_classes")}
                 for run in (one, first)]  # fmt: skip
    rows = [{"rows": run.described["rows"].get("test")} for run in (one, first)]
    for pair in (settings, _differing(described), _differing(rows)):
        if pair[0]:
            return "; ".join(f"{name} is {value}, not {pair[1][name]}" for name, value in pair[0].items())
    return "the features or labels are others"


def _models(runs: Sequence[_Run]) -> list[list[_Run]]:
    """Returns the runs by model: those alike in all but the seed, trained on the same rows."""
    groups: dict[Any, list[_Run]] = {}
    for one in runs:
        trained_on = tuple(one.described["sha256"].get(part) for part in ("train", "validation"))
        group = groups.setdefault((one.config.update(seed=0), trained_on), [])
        for other in group:
            require(other.config.seed != one.config.seed, "RUN", f"differ from {other.folder} in more than its folder",
                    str(one.folder), "A network that is counted twice shows no more.")  # fmt: skip
        group.append(one)
    return list(groups.values())


def _names(groups: Sequence[Sequence[_Run]], flags: Any) -> list[str]:
    """Returns a name for all that is compared: the user's; or folders; or settings that differ, if they are short."""
    if flags.name:
        require(len(flags.name) == len(groups), "name", f"be given for each of {len(groups)} {flags.by}s", flags.name)
        require(len(set(flags.name)) == len(groups), "name", "differ from one to the next", flags.name)
        return list(flags.name)
    if flags.by == "run":
        names = [group[0].folder.name for group in groups]
        return names if len(set(names)) == len(names) else [str(group[0].folder) for group in groups]
    if len(groups) == 1:
        return ["model"]
    settings = _differing([group[0].config.update(seed=0).to_dict() for group in groups])
    names = [", ".join(f"{name}={value}" for name, value in one.items()) for one in settings]
    if all(0 < len(name) <= _LONGEST_NAME for name in names) and len(set(names)) == len(names):
        return names
    return [f"model {number}" for number in range(1, len(groups) + 1)]


def _differing(mappings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns of every mapping what is not the same in all."""
    names = [name for name in mappings[0] if any(one.get(name) != mappings[0][name] for one in mappings)]
    return [{name: one.get(name) for name in names} for one in mappings]


def _comparison(groups: Mapping[str, Sequence[_Run]], flags: Any) -> Comparison:
    """Returns the comparison, after evaluating every run on the same rows."""
    drops = None if flags.drops is None else DropTable.load(flags.drops)
    read: dict[Any, Dataset] = {}
    figures: dict[str, list[Any]] = {name: [] for name in groups}
    for name, group in groups.items():
        for one in group:
            key = (one.settings, tuple(one.described["modalities"]))
            if key not in read:
                read[key] = _test_rows(one, flags.root)
            drops = make_drops(read[key], "mcar", rate=RATE) if drops is None else drops
            model, _ = best_model(one.folder, one.config)
            sizes = feasible_sizes(one.config)
            figures[name].append(network_figures(model, read[key], drops, draws=flags.draws, sizes=sizes))
    return compare_models(figures)


def _test_rows(one: _Run, root: str | None) -> Dataset:
    """Returns the test rows of a run, if they are what they were."""
    splits, changed = run_splits(one.folder, root=root)
    require("test" not in changed, "data", f"be what it was when {one.folder} was trained", "other test rows")
    return splits.test


def _print(comparison: Comparison, legend: Mapping[str, str]) -> None:
    """Prints the tables."""
    console = make_console()
    for name, folders in legend.items():
        console.print(f"{name}: {folders}")
    for grid in (figures_grid(comparison), differences_grid(comparison) if comparison.differences else []):
        if grid:
            table = make_grid()
            for heading in grid[0]:
                words = heading in ("metric", "seen", "difference")
                table.add_column(heading, justify="left" if words else "right", overflow="fold")
            for row, following in zip(grid[1:], [*grid[2:], grid[-1]], strict=True):
                table.add_row(*row, end_section=row[0] != following[0])
            console.print(table)
    for line in about_lines(comparison):
        console.print(line)
    if len(comparison) == 1 and comparison.seeds != {"model": 1}:
        console.print("To compare these networks with each other: --by run")


def _text(comparison: Comparison, legend: Mapping[str, str], form: str) -> str:
    """Returns the comparison as a file."""
    if form == "json":
        return json.dumps({**comparison.to_dict(), "runs": dict(legend)}, indent=1, allow_nan=False) + "\n"
    if form == "latex":
        return "".join(f"% {name}: {folders}\n" for name, folders in legend.items()) + comparison_latex(comparison)
    return (
        "".join(f"- {name}: {folders}\n" for name, folders in legend.items()) + "\n" + comparison_markdown(comparison)
    )
