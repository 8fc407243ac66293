"""One run, from its first step or a checkpoint to its end: the state of the loop and what it does at each point."""

from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np

from aecf_jax import __version__
from aecf_jax.config import AECFConfig
from aecf_jax.errors import NonFiniteLossError
from aecf_jax.logs import Writer
from aecf_jax.train import StepInfo, everywhere, learning_rate, mesh_of, placed
from aecf_jax.trainer._feed import Feed
from aecf_jax.trainer._keeper import Keeper
from aecf_jax.trainer._load import model_variables
from aecf_jax.trainer._memory import Memory
from aecf_jax.trainer._plan import Plan
from aecf_jax.trainer._processes import agreed
from aecf_jax.trainer._progress import Silent
from aecf_jax.trainer._signals import Interrupts
from aecf_jax.trainer._validate import Validation

Stopped = Literal["completed", "early", "signal"]
_rate = jax.jit(learning_rate, static_argnames=("peak", "warmup", "total"))


class Run:
    """The loop. Everything random is a function of (seed, step), so that its whole position is one number.

    Args:
        config: all settings.
        plan: of the steps.
        feed: what takes them.
        validation: what checkpoints are judged on; None: the last counts as the best.
        tree: state and constants, as they are saved; the state is used up.
        keeper: what saves them.
        memory: what else the run remembers.
        facts: what identifies the rows.
    """

    def __init__(
        self, config: AECFConfig, plan: Plan, feed: Feed, validation: Validation | None, tree: dict[str, Any],
        keeper: Keeper, memory: Memory, facts: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.config, self.plan, self.memory = config, plan, memory
        self.step = int(tree["state"].step)
        self.tree, self.keeper, self._facts = tree, keeper, facts
        self.feed, self._validation = feed, validation

    @property
    def variables(self) -> dict[str, Any]:
        """The model's variables as they are now."""
        return model_variables(self.tree)

    def train(self, writer: Writer, progress: Silent, interrupts: Interrupts) -> Stopped:
        """Returns why training ended; what the keeper holds is still to be written.

        Args:
            writer: what metrics are logged to.
            progress: what shows them.
            interrupts: which signals came.

        Raises:
            NonFiniteLossError: if the loss or the gradient is not finite any more.
            InputError: if something cannot be written.
        """
        while self.step < self.plan.total_steps:
            if self._validation is not None and self.memory.out_of_patience(self.config):
                return "early"
            self._advance(progress)
            if self.plan.validates_at(self.step):
                self._judge(writer, progress)
            interrupts.signal = agreed(interrupts.signal or 0) or None
            if interrupts.signal is not None:
                self._save(None)
                return "signal"
        return "completed"

    def _advance(self, progress: Silent) -> None:
        """Takes the steps of the next chunk, and looks at what they said."""
        length = self.plan.chunk_length(self.step)
        state, info = self.feed.advance(self.tree, self.step, length)
        self.tree["state"], info = state, jax.device_get(info)
        self._require_finite(info)
        self.step += length
        self.memory.add_steps(info)
        progress.show(self.step, {"loss": float(np.mean(info.components["total_loss"]))})

    def _require_finite(self, info: StepInfo) -> None:
        """Raises unless loss and gradient of every step are finite."""
        for what, values in (("loss", info.components["total_loss"]), ("gradient's norm", info.gradient_norm)):
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                step = self.step + int(bad[0]) + 1
                epoch = step / self.plan.steps_per_epoch
                where = f"at step {step} (epoch {epoch:.2f}); {self.keeper.last_good()}"
                hint = "Lower the learning rate, or look for extreme values in the data."
                raise NonFiniteLossError(f"The {what} became {values[bad[0]]} {where}. {hint}")

    def _judge(self, writer: Writer, progress: Silent) -> None:
        """Validates, logs and saves."""
        metrics = {"epoch": self.step / self.plan.steps_per_epoch} | self.memory.take_means() | self._rates()
        score = None
        if self._validation is not None:
            if self.config.tempered:
                self._fit(self._validation)
            found = self._validation.metrics(self.variables)
            score, metrics = found["val_loss"], metrics | found
            self.memory.judge(score, self.config)
            progress.show(self.step, self._validation.headline(found))
        self.memory.logged = metrics
        # The line first: a run that is killed in between drops it again when it resumes from an earlier step.
        writer.write(self.step, metrics)
        self._save(score)

    def _fit(self, validation: Validation) -> None:
        """Makes the model as sure of itself as it is right on the validation rows."""
        constants = validation.tempered(self.variables)["constants"]
        mesh = mesh_of(self.tree)
        self.tree["constants"] = constants if mesh is None else placed(constants, everywhere(mesh))

    def _rates(self) -> dict[str, float]:
        """Returns the learning rates of the last step."""
        plan, config = self.plan, self.config
        warmup = min(config.warmup_epochs * plan.steps_per_epoch, plan.total_steps)
        share = float(_rate(self.step - 1, peak=1.0, warmup=warmup, total=plan.total_steps))
        return {"learning_rate": share * config.learning_rate, "gate_learning_rate": share * config.gate_learning_rate}

    def _save(self, score: float | None) -> None:
        """Hands over everything that the run needs to go on."""
        meta = {
            "config": self.config.to_dict(),
            "step": self.step,
            "epoch": self.step / self.plan.steps_per_epoch,
            "metrics": self.memory.logged,
            "memory": self.memory.to_dict(),
            "data": dict(self._facts),
            "version": __version__,
        }
        self.keeper.offer(self.step, self.tree, meta, score)
