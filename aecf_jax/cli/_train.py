"""`aecf-jax train`: a run from its settings to its table, or from where it was interrupted."""

import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

import aecf_jax
from aecf_jax.cli._devices import joined_devices
from aecf_jax.cli._files import CONFIG, DATA, HISTORY, IMPORT, METRICS, existing_run, free_folder, new_run
from aecf_jax.cli._history import curve_panels, epoch_of_step, read_history
from aecf_jax.cli._plots import draw_curves, draw_robustness
from aecf_jax.cli._run import (
    best_model,
    data_description,
    feasible_sizes,
    model_facts,
    parameter_count,
    read_config,
    read_data,
    run_splits,
    use_compile_cache,
)
from aecf_jax.cli._settings import Defaults, data_config, model_config, reject_unread, stream_config
from aecf_jax.cli._tables import make_console, print_table
from aecf_jax.config import AECFConfig, DeviceConfig
from aecf_jax.data import Splits, load_splits
from aecf_jax.errors import import_extra, require
from aecf_jax.evaluate import SubsetTable, evaluate_subsets
from aecf_jax.files import write_json
from aecf_jax.model import AECF_CLIP
from aecf_jax.trainer import AECFTrainer, agreed_text, is_first, require_same_structure

_LOGGER_EXTRAS = {"tensorboard": ("tensorboardX", "cli"), "wandb": ("wandb", "wandb")}


@dataclass(frozen=True)
class _Job:
    """Everything that a training needs, checked.

    Attributes:
        folder: of the run.
        config: the model's settings.
        splits: the data.
        logger: what is logged to.
        resume: whether to go on from the last checkpoint.
        plots: whether to draw.
        start: the model whose parameters training starts from, if any.
    """

    folder: Path
    config: AECFConfig
    splits: Splits
    logger: str
    resume: bool
    plots: bool
    start: AECF_CLIP | None = None


def run(flags: Any, defaults: Defaults) -> int:
    """Returns 0 after a training, or 128 plus the number of the signal that interrupted it.

    Args:
        flags: the parsed flags.
        defaults: what they were where they were not given.

    Raises:
        InputError: for what the user can mend; no run's folder is made or changed before everything is checked.
    """
    use_compile_cache(flags.compile_cache)
    devices, streaming = joined_devices(flags), stream_config(flags)
    console = make_console()
    if flags.plots:
        # Missed now rather than after the training.
        import_extra("matplotlib", "cli")
    job = _new_job(flags, defaults) if flags.resume is None else _resumed_job(flags, defaults)
    _print_header(console, job, devices)
    start = time.perf_counter()
    trainer = AECFTrainer(job.config, logger_type=job.logger, run_dir=str(job.folder), progress=True,
                          devices=devices, streaming=streaming)  # fmt: skip
    results = trainer.fit(job.splits.train, job.splits.validation, resume=job.resume, start=job.start)
    if results["stopped"] == "signal":
        console.print(f"Interrupted; the run is saved. Go on with: aecf-jax train --resume {job.folder}")
        return 128 + int(results["signal"])
    seconds = time.perf_counter() - start
    table = evaluate_subsets(trainer.model, job.splits.test, sizes=feasible_sizes(job.config))
    content = _results(trainer, results, table, seconds=seconds)
    if is_first():
        write_json(job.folder / METRICS, content)
    print_table(console, table)
    if job.plots and is_first():
        _draw(job, table, content["best_step"])
    console.print(
        f"{results['current_epoch']:g} epochs in {seconds:.0f} seconds; best checkpoint: {content['best_step']}"
    )
    console.print(f"{job.folder}/: {', '.join(_contents(job.folder))}")
    return 0


def _new_job(flags: Any, defaults: Defaults) -> _Job:
    """Returns a new training, with its folder made and its settings saved."""
    if flags.logger in _LOGGER_EXTRAS:
        import_extra(*_LOGGER_EXTRAS[flags.logger])
    if flags.out is not None:
        free_folder(flags.out)
    data = data_config(flags)
    splits = load_splits(data)
    splits = splits if flags.modalities is None else splits.select(flags.modalities)
    task = flags.task_type
    facts = model_facts(splits, task, flags.num_classes or defaults.base.num_classes)
    config = model_config(flags, defaults, facts)
    described, start = data_description(data, splits, flags.logger), None
    if flags.init_from is not None:
        start = _start_model(flags.init_from, config)
        described["init_from"] = str(flags.init_from.resolve())
    folder = _new_folder(flags.out, described, config)
    return _Job(folder, config, splits, flags.logger, resume=False, plots=flags.plots, start=start)


def _start_model(run: Path, config: AECFConfig) -> AECF_CLIP:
    """Returns the model whose parameters a training starts from, after checking that they fit."""
    model, _ = best_model(existing_run(run), read_config(run))
    require_same_structure(model.config, config)
    return model


def _new_folder(out: Path | None, described: dict[str, Any], config: AECFConfig) -> Path:
    """Returns the new folder of a run, with the settings that it can be resumed from; none, if they cannot be saved.

    Of several processes, the first makes it once all have come so far, and tells the others.
    """
    agreed_text("")
    if not is_first():
        return Path(agreed_text(""))
    folder = new_run(out, described["settings"]["data"])
    try:
        write_json(folder / DATA, described)
        write_json(folder / CONFIG, config.to_dict())
    except OSError:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        raise
    return Path(agreed_text(str(folder)))


def _resumed_job(flags: Any, defaults: Defaults) -> _Job:
    """Returns a training to go on with, as it was started; the data must be the same."""
    folder = existing_run(flags.resume)
    reject_unread(flags, defaults)
    imported = (folder / IMPORT).is_file() and not (folder / DATA).is_file()
    require(not imported, "resume", "be of a run that was started here", f"{folder}, an imported model",
            f"Train on from it with: aecf-jax train --init-from {folder} --data DATA")  # fmt: skip
    config, (_, described) = read_config(folder), read_data(folder)
    splits, changed = run_splits(folder, root=flags.root)
    rule = "be what it was when the run was started"
    require(not changed, "data", rule, f"another {' and '.join(changed)} part",
            "Restore the files, or start a new run.")  # fmt: skip
    start = described.get("init_from")
    begun = (folder / config.checkpoint_dir).is_dir()
    model = _start_model(Path(start), config) if start is not None and not begun else None
    return _Job(folder, config, splits, described["logger"], resume=True, plots=flags.plots, start=model)


def _print_header(console: Any, job: _Job, config: DeviceConfig) -> None:
    """Prints what is trained on what."""
    splits, devices = job.splits, jax.devices()
    rows = ", ".join(f"{part.part} {len(part)}" for part in splits)
    widths = ", ".join(f"{name} {width}" for name, width in zip(splits.modalities, splits.widths, strict=True))
    console.print(f"data        {splits.name}: {splits.num_classes} {splits.label_kind}; rows: {rows}")
    console.print(f"modalities  {widths}")
    console.print(f"model       {parameter_count(job.config):,} parameters")
    mesh = "" if config.mesh is None else f" as {config.mesh}"
    several = "" if jax.process_count() == 1 else f" of {jax.process_count()} processes"
    console.print(f"device      {len(devices)} × {devices[0].device_kind}{mesh}{several}, jax {jax.__version__}")
    console.print(f"run         {job.folder}")


def _results(trainer: AECFTrainer, results: dict[str, Any], table: SubsetTable, *, seconds: float) -> dict[str, Any]:
    """Returns what metrics.json holds."""
    versions = {"aecf_jax": aecf_jax.__version__, "python": platform.python_version()}
    return {
        "part": "test",
        "table": table.to_dict(),
        "summary": table.summary(),
        # A checkpoint's folder is named by its step.
        "best_step": int(Path(results["best_model_path"]).name),
        "steps": results["global_step"],
        "epochs": results["current_epoch"],
        "stopped": results["stopped"],
        "seconds": round(seconds, 3),
        "parameters": trainer.model.get_model_info()["total_parameters"],
        "versions": versions | {name: version(name) for name in ("jax", "flax", "numpy")},
    }


def _draw(job: _Job, table: SubsetTable, best_step: int) -> None:
    """Draws the two pictures of a run."""
    history = read_history(job.folder / HISTORY)
    best = epoch_of_step(history, best_step)
    draw_curves(job.folder / "curves.png", curve_panels(history, table.kind), best=best)
    title = f"{job.splits.name}, test part: what is left when modalities are missing"
    draw_robustness(job.folder / "robustness.png", table, title=title)


def _contents(folder: Path) -> list[str]:
    """Returns the names in a folder, those of folders with a slash."""
    return sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
