"""Where an epoch is cut: into validation intervals, and these into chunks short enough to be interrupted between."""

import json
import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from aecf_jax.config import AECFConfig
from aecf_jax.errors import require

LONGEST_CHUNK = 64
"""Most steps in a compiled chunk: a signal waits for the end of one."""


@dataclass(frozen=True)
class Limits:
    """What `trainer_kwargs` says, checked.

    Attributes:
        max_epochs: in place of `epochs`; None: not given.
        train_batches: most steps in an epoch, or a share of them; None: all.
        val_batches: most batches of validation rows, or a share of the rows; None: all.
        progress: whether a progress bar may be shown.
    """

    max_epochs: int | None = None
    train_batches: int | float | None = None
    val_batches: int | float | None = None
    progress: bool = True

    @classmethod
    def of(cls, config: AECFConfig) -> "Limits":
        """Returns the limits of a configuration.

        Args:
            config: whose `trainer_kwargs` to read; values may be text, as the command line gives them.

        Raises:
            InputError: for a value out of range.
        """
        given = {name: _parsed(value) for name, value in config.trainer_kwargs}
        epochs, progress = given.get("max_epochs"), given.get("enable_progress_bar", True)
        whole = epochs is None or (isinstance(epochs, int) and not isinstance(epochs, bool) and epochs > 0)
        require(whole, "max_epochs", "be a positive integer", epochs)
        require(isinstance(progress, bool), "enable_progress_bar", "be true or false", progress)
        for name in ("limit_train_batches", "limit_val_batches"):
            least = 0 if name == "limit_val_batches" else 1
            _check_limit(name, given.get(name), least)
        return cls(epochs, given.get("limit_train_batches"), given.get("limit_val_batches"), progress)

    def validation_rows(self, rows: int, batch_size: int) -> int:
        """Returns how many of the validation rows to use.

        Args:
            rows: how many there are.
            batch_size: rows a batch.
        """
        limit = self.val_batches
        if limit is None:
            return rows
        return min(rows, limit * batch_size if isinstance(limit, int) else math.ceil(limit * rows))


@dataclass(frozen=True)
class Plan:
    """The steps of a run. All chunks have one of two lengths, so that two programs at most are compiled.

    Attributes:
        batch_size: rows a step.
        steps_per_epoch: steps an epoch.
        epochs: passes over the rows.
        bounds: the steps of an epoch after which a chunk ends, the last of them its last step.
        chunks_per_validation: how many chunks lie between validations.
    """

    batch_size: int
    steps_per_epoch: int
    epochs: int
    bounds: tuple[int, ...]
    chunks_per_validation: int

    @classmethod
    def of(cls, config: AECFConfig, rows: int, limits: Limits, longest: int | None = None) -> "Plan":
        """Returns the plan of a run.

        Args:
            config: batch size, epochs, and how often to validate: the next whole number of times an epoch, the last
                time at its end.
            rows: training rows; those that do not fill a batch are left out of an epoch, other ones each time.
            limits: of the steps in an epoch.
            longest: most steps in a chunk, where that is less than `LONGEST_CHUNK`.

        >>> plan = Plan.of(AECFConfig(batch_size=2, val_check_interval=0.5), 22, Limits())
        >>> plan.steps_per_epoch, plan.bounds, plan.validates_at(5), plan.validates_at(6)
        (11, (5, 11), True, False)
        >>> Plan.of(AECFConfig(batch_size=1), 117, Limits()).bounds
        (39, 78, 117)
        """
        batch_size = min(config.batch_size, rows)
        steps, limit = rows // batch_size, limits.train_batches
        if limit is not None:
            steps = min(steps, limit) if isinstance(limit, int) else max(1, math.floor(limit * steps))
        validations = min(max(1, round(1 / config.val_check_interval)), steps)
        interval = math.ceil(steps / validations)
        chunks = math.ceil(interval / min(LONGEST_CHUNK, longest or LONGEST_CHUNK))
        if longest is None:
            # A few more, where all are then of one length, and one program less is compiled.
            chunks = next((more for more in range(chunks, 2 * chunks) if interval % more == 0), chunks)
        pieces = validations * chunks
        bounds = tuple(steps * (index + 1) // pieces for index in range(pieces))
        return cls(batch_size, steps, config.epochs, bounds, chunks)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    @property
    def validations(self) -> tuple[int, ...]:
        """The steps of an epoch after which a validation is due."""
        return self.bounds[self.chunks_per_validation - 1 :: self.chunks_per_validation]

    def chunk_length(self, step: int) -> int:
        """Returns how many steps the next chunk has.

        Args:
            step: steps done.
        """
        position = step % self.steps_per_epoch
        return self.bounds[bisect_right(self.bounds, position)] - position

    def validates_at(self, step: int) -> bool:
        """Returns whether a validation is due.

        Args:
            step: steps done.
        """
        position = (step - 1) % self.steps_per_epoch + 1
        return step > 0 and position in self.validations


def _parsed(value: Any) -> Any:
    """Returns what a text means, where it is a number, true or false."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value.lower())
    except json.JSONDecodeError:
        return value


def _check_limit(name: str, value: Any, least: int) -> None:
    """Raises unless a limit is a number of batches, or a share of them."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    within = number and (value >= least if isinstance(value, int) else 0 <= value <= 1 and (value > 0 or least == 0))
    require(value is None or within, name, f"be a number of batches from {least}, or a share in [0, 1]", value)
