"""`aecf-jax info RUN`: what a run is and how far it came, also where it is unfinished or damaged."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.cli._files import CONFIG, DATA, HISTORY, IMPORT, METRICS, read_json
from aecf_jax.cli._history import read_history, score_of_step
from aecf_jax.cli._run import parameter_count, read_config, read_data
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, summary_line
from aecf_jax.errors import InputError, require
from aecf_jax.evaluate import SubsetTable


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after printing every part that can be read, and a sentence for every part that cannot.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the folder is none, or holds nothing of a run.
    """
    folder: Path = flags.run
    require(folder.is_dir(), "RUN", "be the folder of a run", str(folder), "There is no such folder.")
    found = [name for name in (CONFIG, DATA, METRICS, HISTORY) if (folder / name).exists()]
    require(bool(found), "RUN", f"hold a {CONFIG}", str(folder), "A run's folder is made by `aecf-jax train`.")
    console = make_console()
    parts: dict[str, Callable[[Path], str]] = {
        "state": _state, "data": _data, "modalities": _modalities, "model": _model, "training": _training,
        "checkpoints": _checkpoints, "test": _metrics,
    }  # fmt: skip
    console.print(f"{'run':12}{folder}")
    for name, describe in parts.items():
        console.print(f"{name:12}{_readable(describe, folder)}")
    return 0


def _readable(describe: Callable[[Path], str], folder: Path) -> str:
    """Returns a part's description, or why there is none."""
    try:
        return describe(folder)
    except InputError as error:
        return str(error)


def _state(folder: Path) -> str:
    """Returns whether the training has finished, and how to go on if not."""
    if (folder / IMPORT).is_file():
        origin = read_json(folder / IMPORT)
        unused = len(origin.get("not_taken_over", ()))
        return (f"imported: the {origin.get('generation')} model of {origin.get('source')}, step {origin.get('step')}; "
                f"{unused} entries not taken over, see {IMPORT}")  # fmt: skip
    history = read_history(folder / HISTORY)
    epochs = max((row["epoch"] for row in history if "epoch" in row), default=0.0)
    if (folder / METRICS).is_file():
        recorded = read_json(folder / METRICS)
        how = {"early": "stopped early", "completed": "completed"}.get(str(recorded.get("stopped")), "finished")
        return f"{how} after {epochs:g} epochs, {recorded.get('seconds', math.nan):.0f} seconds"
    planned = read_config(folder).epochs
    return f"unfinished, {epochs:g} of {planned} epochs; go on with: aecf-jax train --resume {folder}"


def _data(folder: Path) -> str:
    """Returns what the data are."""
    if (folder / IMPORT).is_file() and not (folder / DATA).is_file():
        return "none of its own; pass --data to evaluate and predict"
    config, described = read_data(folder)
    rows = ", ".join(f"{part} {count}" for part, count in described["rows"].items())
    return f"{config.data}: {described['num_classes']} {described['label_kind']}; rows: {rows}"


def _modalities(folder: Path) -> str:
    """Returns the modalities with their widths."""
    config = read_config(folder)
    return ", ".join(f"{name} {width}" for name, width in zip(config.modalities, config.widths, strict=True))


def _model(folder: Path) -> str:
    """Returns the model's parts and size."""
    config = read_config(folder)
    gate = "no gate" if config.gate_disabled else f"gate {_widths(config.gate_hidden_dims)}"
    hidden = f" {_widths(config.encoder_hidden_dims)}" if config.encoder == "mlp" else ""
    return (
        f"{config.task_type}; encoder {config.encoder}{hidden} to {config.embed_width}, {gate}, "
        f"head {_widths(config.head_hidden_dims or ())}; {parameter_count(config):,} parameters"
    )


def _widths(widths: Any) -> str:
    """Returns the hidden widths of a part."""
    return "-".join(map(str, widths)) or "linear"


def _training(folder: Path) -> str:
    """Returns how the model is trained."""
    config = read_config(folder)
    masks = f"{config.masking_strategy} masks, probability {config.masking_prob:g}"
    return (
        f"{config.epochs} epochs, batch {config.batch_size}, learning rate {config.learning_rate:g}, "
        f"{masks if config.curriculum_mask else 'no masks'}, seed {config.seed}"
    )


def _checkpoints(folder: Path) -> str:
    """Returns the checkpoints' steps with their scores."""
    history = read_history(folder / HISTORY)
    store = Checkpoints(folder / read_config(folder).checkpoint_dir)
    steps, best = store.steps(), store.best_step()
    if not steps:
        return "none yet"
    scores = {step: score_of_step(history, step) for step in steps}
    shown = [
        f"step {s}{'' if scores[s] is None else f' ({scores[s]:.4f})'}{' best' if s == best else ''}" for s in steps
    ]
    return f"by validation loss: {', '.join(shown)}"


def _metrics(folder: Path) -> str:
    """Returns the summary of the table."""
    if not (folder / METRICS).is_file():
        return "no table yet"
    return summary_line(SubsetTable.from_dict(read_json(folder / METRICS).get("table", {})))
