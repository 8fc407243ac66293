"""Metrics for a viewer: TensorBoard's event files, and Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aecf_jax.errors import import_extra


class TensorBoardWriter:
    """Writes TensorBoard events, without TensorFlow; events after the step continued from are hidden by the viewer.

    Args:
        directory: the folder of the events.
        last_step: the step that the run continues from.

    Raises:
        MissingExtraError: if tensorboardX is not installed.
    """

    def __init__(self, directory: str | Path, *, last_step: int = 0) -> None:
        module = import_extra("tensorboardX", "cli")
        self._writer: Any = module.SummaryWriter(str(directory), purge_step=last_step + 1 if last_step else None)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds a point to every metric's curve; a thread writes it.

        Args:
            step: training steps done.
            metrics: numbers by name.
        """
        for name, value in metrics.items():
            self._writer.add_scalar(name, float(value), step)
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


class WandbWriter:
    """Sends metrics to Weights & Biases.

    Args:
        directory: where the service keeps its files.
        project: its project.
        name: the run's name there; None lets the service choose.
        last_step: the step that the run continues from; above 0 the run of the same name is resumed.

    Raises:
        MissingExtraError: if wandb is not installed.
    """

    def __init__(
        self, directory: str | Path, *, project: str = "aecf", name: str | None = None, last_step: int = 0
    ) -> None:
        module = import_extra("wandb", "wandb")
        Path(directory).mkdir(parents=True, exist_ok=True)
        resume = "allow" if last_step else None
        self._run: Any = module.init(project=project, name=name, id=name, dir=str(directory), resume=resume)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Sends the metrics of one step.

        Args:
            step: training steps done.
            metrics: numbers by name.
        """
        self._run.log({name: float(value) for name, value in metrics.items()}, step=step)

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()
