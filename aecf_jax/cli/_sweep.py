"""`aecf-jax sweep`: seeds times settings, trained in as few compiled programs as there are shapes, and compared."""

import os
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aecf_jax.cli._compare import RATE
from aecf_jax.cli._files import DATA, new_run, read_json
from aecf_jax.cli._plots import draw_sweep
from aecf_jax.cli._progress import runs_progress
from aecf_jax.cli._run import data_description, feasible_sizes, model_facts, run_splits, use_compile_cache
from aecf_jax.cli._settings import Defaults, data_config, model_config, reject_unread
from aecf_jax.cli._tables import make_console, make_grid
from aecf_jax.cli._vary import settings, varied
from aecf_jax.config import AECFConfig
from aecf_jax.data import Splits, load_splits, make_drops
from aecf_jax.errors import import_extra, require
from aecf_jax.evaluate import (
    COMPARED,
    METRIC_NAMES,
    Comparison,
    about_lines,
    compare_models,
    comparison_markdown,
    network_figures,
    with_half,
)
from aecf_jax.files import write_json, write_whole
from aecf_jax.stats import mean_interval
from aecf_jax.sweep import Trained, fastest_way, save_run, saved_run, train_many

SWEEP, RESULTS, RUNS = "sweep.json", "results.json", "runs"
"""What the folder of a sweep holds, beside data.json, table.md and sweep.png."""


class _Sweep(NamedTuple):
    """A sweep: its folder, its data, and the configurations of each setting, one a seed."""

    folder: Path
    splits: Splits
    models: dict[str, list[AECFConfig]]

    @property
    def configs(self) -> list[AECFConfig]:
        """Those of all runs."""
        return [config for group in self.models.values() for config in group]


def run(flags: Any, defaults: Defaults) -> int:
    """Returns 0 after a sweep, or 128 plus the number of the signal that interrupted it.

    Args:
        flags: the parsed flags.
        defaults: what they were where they were not given.

    Raises:
        InputError: for what the user can mend.
    """
    require(flags.draws >= 2, "draws", "be at least 2", flags.draws)
    use_compile_cache(flags.compile_cache)
    import_extra("matplotlib", "cli")
    console = make_console()
    sweep = _new(flags, defaults) if flags.resume is None else _resumed(flags, defaults)
    seeds = len(next(iter(sweep.models.values())))
    console.print(f"data        {sweep.splits.name}: rows: {', '.join(f'{p.part} {len(p)}' for p in sweep.splits)}")
    console.print(f"runs        {len(sweep.models)} settings × {seeds} seeds, in {sweep.folder}")
    try:
        with _terminated():
            runs = _train(console, sweep, flags)
    except _Interrupted as stop:
        console.print(f"Interrupted; finished runs are saved. Go on with: aecf-jax sweep --resume {sweep.folder}")
        return 128 + stop.number
    _write(console, sweep, runs, flags)
    return 0


def _new(flags: Any, defaults: Defaults) -> _Sweep:
    """Returns a new sweep, with its folder made and its settings saved."""
    require(flags.seeds >= 1, "seeds", "be positive", flags.seeds)
    vary = varied(flags.vary)
    data = data_config(flags)
    splits = load_splits(data)
    splits = splits if flags.modalities is None else splits.select(flags.modalities)
    facts = model_facts(splits, flags.task_type, flags.num_classes or defaults.base.num_classes)
    base = model_config(flags, defaults, facts)
    models = _models(base, vary, flags.seeds)
    folder = new_run(flags.out, "sweep")
    write_json(folder / DATA, data_description(data, splits, "none"))
    write_json(folder / SWEEP, {"config": base.to_dict(), "vary": vary, "seeds": flags.seeds})
    return _Sweep(folder, splits, models)


def _resumed(flags: Any, defaults: Defaults) -> _Sweep:
    """Returns a sweep to go on with, as it was started; the data must be the same."""
    folder: Path = flags.resume
    reject_unread(flags, defaults)
    require((folder / SWEEP).is_file(), "resume", f"be the folder of a sweep, with a {SWEEP}", str(folder))
    asked = read_json(folder / SWEEP)
    splits, changed = run_splits(folder, root=flags.root)
    require(not changed, "data", "be what it was when the sweep was started", f"another {' and '.join(changed)} part",
            "Restore the files, or start a new sweep.")  # fmt: skip
    return _Sweep(folder, splits, _models(AECFConfig.from_dict(asked["config"]), asked["vary"], asked["seeds"]))


def _models(base: AECFConfig, vary: Mapping[str, Sequence[Any]], seeds: int) -> dict[str, list[AECFConfig]]:
    """Returns the configurations of every setting, one a seed."""
    return {
        name: [base.update(**one, seed=base.seed + index) for index in range(seeds)]
        for name, one in settings(vary).items()
    }


def _train(console: Any, sweep: _Sweep, flags: Any) -> list[Trained]:
    """Returns all runs: those that are saved, and the others, each saved as soon as it is done."""
    folder, configs = sweep.folder / RUNS, sweep.configs
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index:04d}.npz" for index in range(len(configs))]
    runs = [saved_run(path, config) for path, config in zip(paths, configs, strict=True)]
    left = [index for index, one in enumerate(runs) if one is None]
    if len(left) < len(runs):
        console.print(f"finished    {len(runs) - len(left)} runs, which are not repeated")
    if left:
        rows, wanted = (sweep.splits.train, sweep.splits.validation), [configs[index] for index in left]
        how, workers = _way(console, wanted, rows, flags)
        start = time.perf_counter()
        with runs_progress(len(left)) as shown:

            def finished(position: int, one: Trained) -> None:
                save_run(paths[left[position]], one)
                runs[left[position]] = one

            train_many(
                wanted, *rows, how=how, workers=workers, devices=flags.devices, progress=shown, finished=finished
            )
        console.print(f"trained     {len(left)} runs in {time.perf_counter() - start:.1f} seconds")
    return [one for one in runs if one is not None]


def _way(console: Any, configs: list[AECFConfig], rows: tuple[Any, Any], flags: Any) -> tuple[Any, int]:
    """Returns how to train, and in how many processes: as the user says, or as a trial shows."""
    for name in ("workers", "devices"):
        require(getattr(flags, name) is None or getattr(flags, name) >= 1, name, "be positive", getattr(flags, name))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(flags.workers or cores, len(configs))
    how = flags.how
    if how == "auto":
        choice = fastest_way(configs, *rows, workers=workers, devices=flags.devices)
        console.print(f"way         {choice}")
        how = choice.how
    return ("sequence", workers) if how == "processes" else (how, 1)


def _write(console: Any, sweep: _Sweep, runs: list[Trained], flags: Any) -> None:
    """Prints and writes the tables, the figures and the picture."""
    part = flags.part
    rows = sweep.splits.parts[part]
    drops = make_drops(rows, "mcar", rate=RATE)
    found, place, figures = {}, 0, {}
    for name, group in sweep.models.items():
        found[name] = runs[place : place + len(group)]
        place += len(group)
        figures[name] = [
            network_figures(one.model, rows, drops, draws=flags.draws, sizes=feasible_sizes(one.config))
            for one in found[name]
        ]
    comparison = compare_models(figures, against=next(iter(figures)))
    _print(console, found, comparison, part)
    write_json(sweep.folder / RESULTS, _results(found, comparison, part))
    write_whole(sweep.folder / "table.md", comparison_markdown(comparison, part))
    draw_sweep(sweep.folder / "sweep.png", figures, title=f"{sweep.splits.name}, {part} part")
    console.print(f"{sweep.folder}/: {', '.join(sorted(path.name for path in sweep.folder.iterdir()))}")


def _print(console: Any, found: Mapping[str, Sequence[Trained]], comparison: Comparison, part: str) -> None:
    """Prints a row for each setting: what its models were chosen by, and the headline metric wherever it was measured.

    An asterisk marks what differs from the first setting.
    """
    metric = COMPARED[comparison.kind][0]
    scopes = [seen for seen, name in next(iter(comparison.figures.values())) if name == metric]
    differs = {(one.one, one.seen) for one in comparison.differences
               if one.metric == metric and one.holm < 1 - comparison.level}  # fmt: skip
    grid = make_grid()
    for heading in ("setting", "epochs", "validation loss", *(f"{METRIC_NAMES[metric]}, {seen}" for seen in scopes)):
        grid.add_column(heading, justify="left" if heading == "setting" else "right", overflow="fold")
    for name, group in found.items():
        loss = mean_interval(np.array([one.val_loss for one in group]))
        cells = [with_half(comparison.figures[name][seen, metric]) + "*" * ((name, seen) in differs) for seen in scopes]
        grid.add_row(name, f"{np.mean([one.epochs for one in group]):.0f}", with_half(loss), *cells)
    console.print(grid)
    diverged = sum(one.ended == "diverged" for group in found.values() for one in group)
    if diverged:
        console.print(f"{diverged} runs diverged: their loss was not finite any more; what they were before counts.")
    for line in about_lines(comparison, part):
        console.print(line)


def _results(found: Mapping[str, Sequence[Trained]], comparison: Comparison, part: str) -> dict[str, Any]:
    """Returns what results.json holds."""
    return {
        "part": part,
        "runs": [
            {"setting": name, "seed": one.config.seed, "epochs": one.epochs, "ended": one.ended,
             "metrics": {key: value if np.isfinite(value) else None for key, value in one.metrics.items()}}
            for name, group in found.items() for one in group
        ],
        "comparison": comparison.to_dict(),
    }  # fmt: skip


class _Interrupted(Exception):  # noqa: N818  (no error)
    """A signal came."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def _terminated() -> Generator[None]:
    """Turns Ctrl-C and SIGTERM into one exception, so that processes are ended and the way on is told."""

    def stop(number: int, _frame: Any) -> None:
        raise _Interrupted(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
