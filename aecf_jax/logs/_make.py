"""The logger types that a user names, and what each makes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aecf_jax.errors import nearest, require, require_type
from aecf_jax.logs._files import CsvWriter, JsonlWriter
from aecf_jax.logs._services import TensorBoardWriter, WandbWriter
from aecf_jax.logs._writer import NullWriter, Writer

_MAKERS: dict[str, Callable[[Path, Mapping[str, Any], int], Writer]] = {
    "none": lambda directory, settings, last_step: NullWriter(),
    "csv": lambda directory, settings, last_step: CsvWriter(directory / "metrics.csv", last_step=last_step),
    "jsonl": lambda directory, settings, last_step: JsonlWriter(directory / "metrics.jsonl", last_step=last_step),
    "tensorboard": lambda directory, settings, last_step: TensorBoardWriter(directory, last_step=last_step),
    "wandb": lambda directory, settings, last_step: WandbWriter(directory, last_step=last_step, **settings),
}
LOGGER_TYPES = tuple(_MAKERS)
"""What `make_writer` knows."""
_SETTINGS = ("name", "project", "version")


def make_writer(
    logger_type: str, directory: str | Path, logger_config: Mapping[str, Any] | None = None, *, last_step: int = 0
) -> Writer:
    """Returns the writer that a logger type names.

    Args:
        logger_type: none, csv, jsonl, tensorboard or wandb.
        directory: the folder of its files; `name` and `version` name folders below it.
        logger_config: `name` and `version` of the run, as Lightning's loggers take them, both optional; for wandb
            they are joined to the run's name there, and `project` may be given too.
        last_step: the step that the run continues from; what was written after it is dropped. 0 starts anew.

    Raises:
        InputError: for an unknown type or setting, with the nearest known one.
        MissingExtraError: if the logger's package is not installed.

    >>> make_writer("none", "logs").write(1, {"loss": 0.5})
    >>> make_writer("tensorbord", "logs")
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `logger_type` must be one of none, csv, jsonl, tensorboard, wandb; got tensorbord. \
Did you mean `tensorboard`?
    """
    settings = logger_config or {}
    check_logger(logger_type, settings)
    parts = [str(settings[key]) for key in ("name", "version") if settings.get(key) is not None]
    if logger_type != "wandb":
        return _MAKERS[logger_type](Path(directory, *parts), {}, last_step)
    services = {"project": settings["project"]} if "project" in settings else {}
    return _MAKERS["wandb"](Path(directory), services | ({"name": "-".join(parts)} if parts else {}), last_step)


def check_logger(logger_type: str, logger_config: Mapping[str, Any]) -> None:
    """Raises unless a logger's type and settings are known; makes nothing.

    Args:
        logger_type: its type.
        logger_config: its settings.

    Raises:
        InputError: for an unknown type or setting, with the nearest known one.
    """
    rule = f"be one of {', '.join(LOGGER_TYPES)}"
    require(logger_type in LOGGER_TYPES, "logger_type", rule, str(logger_type), nearest(str(logger_type), LOGGER_TYPES))
    require_type(isinstance(logger_config, Mapping), "logger_config", "be a dictionary", logger_config)
    known = _SETTINGS if logger_type == "wandb" else tuple(key for key in _SETTINGS if key != "project")
    for key, value in logger_config.items():
        require(key in known, "logger_config", f"hold only {', '.join(known)}", str(key), nearest(str(key), known))
        path = Path(str(value))
        outside = value is not None and (".." in path.parts or path.is_absolute())
        require(not outside, f"logger_config[{key!r}]", "stay inside the log folder", str(value))
