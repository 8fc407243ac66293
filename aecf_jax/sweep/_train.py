"""The runs of one group, one after another or side by side, in memory alone."""

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.model import AECF_CLIP
from aecf_jax.rng import seed_key
from aecf_jax.sweep._groups import Group
from aecf_jax.sweep._program import RUNS, RunData, RunOwn, RunState, SweepProgram, cut_runs, stacked, sweep_program
from aecf_jax.train import hidden_pattern, numbers
from aecf_jax.trainer import Memory, Validation, as_dataset, checkpoint_tree, fitted_constants, on_device

Ended = Literal["completed", "early", "diverged"]
How = Literal["auto", "sequence", "vmap"]

WORTH = 4.0
"""A trial of another way costs about a compilation: it is made where the runs take this many times as long."""


class Trained(NamedTuple):
    """A run of a sweep.

    Attributes:
        config: its settings.
        model: the one with the lowest validation loss.
        metrics: of that model on the validation rows, as the trainer logs them: `val_loss`, ...
        epochs: passes over the training rows.
        ended: "completed", "early" (out of patience), or "diverged": the loss or gradient was not finite any more.
    """

    config: AECFConfig
    model: AECF_CLIP
    metrics: dict[str, float]
    epochs: int
    ended: Ended

    @property
    def val_loss(self) -> float:
        """The loss that the model was chosen by."""
        return self.metrics["val_loss"]


@dataclass
class _Run:
    """What the host remembers of a run."""

    config: AECFConfig
    memory: Memory
    step: int = 0
    ended: Ended | None = None

    def judge(self, loss: float, finite: bool, step: int, last: bool) -> None:
        """Takes note of a validation, as the trainer does."""
        self.step = step
        self.memory.judge(loss, self.config)
        if not finite:
            self.ended = "diverged"
        elif last:
            self.ended = "completed"
        elif self.memory.out_of_patience(self.config):
            self.ended = "early"


class _Together(NamedTuple):
    """Runs side by side.

    Attributes:
        run: what they change, stacked; on several devices, with copies of the last that make them divide evenly.
        own: what each reads, likewise; the copies are not active.
        data: what all read.
        mesh: the devices; None: one.
    """

    run: RunState
    own: RunOwn
    data: RunData
    mesh: Mesh | None


class GroupTrainer:
    """Trains runs of one group.

    Args:
        group: what they share.
        train: all training rows, as users give them.
        validation: all validation rows.
        devices: how many devices runs side by side are dealt out over; None: all there are, of a CPU one.
    """

    def __init__(self, group: Group, train: Any, validation: Any, devices: int | None = None) -> None:
        self.group, self._devices = group, devices
        self._train: Dataset = as_dataset(train, group.program, "train")
        self._checks = as_dataset(validation, group.program, "validation").take(slice(0, group.checked))
        self._program: SweepProgram = sweep_program(group.program, group.plan)
        variables = checkpoint_tree(group.program)
        fitted = fitted_constants({"params": variables["state"].params, "constants": variables["constants"]},
                                  group.program, self._train)  # fmt: skip
        self._data = RunData(fitted["constants"], on_device(self._train), on_device(self._checks))

    def train(self, configs: Sequence[AECFConfig], how: How, told: Callable[[float], None],
              finished: Callable[[int, Trained], None] = lambda _index, _run: None) -> list[Trained]:  # fmt: skip
        """Returns the trained models.

        Args:
            configs: of the runs.
            how: one after another, side by side, or whichever a trial shows to be faster.
            told: is told how many runs were done, or what part of one.
            finished: is given every run that is done, and its position.
        """
        chosen = self.faster(configs) if how == "auto" else how
        if chosen == "vmap":
            return self._side_by_side(configs, told, finished)
        done: list[Trained] = []
        for index, config in enumerate(configs):
            done.append(self._alone(config))
            finished(index, done[-1])
            told(1.0)
        return done

    def faster(self, configs: Sequence[AECFConfig]) -> Literal["sequence", "vmap"]:
        """Returns how the runs are faster, by a trial of one interval; side by side is not tried where it cannot pay.

        Args:
            configs: of the runs.
        """
        if len(configs) == 1:
            return "sequence"
        first, alone = self.seconds_alone(configs[0])
        if alone * len(configs) * len(self._steps()) < WORTH * first:
            return "sequence"
        return "vmap" if self.seconds_together(configs) < alone * len(configs) else "sequence"

    def seconds_alone(self, config: AECFConfig) -> tuple[float, float]:
        """Returns the seconds of one run's first interval, compilation and all, and of one after it.

        Args:
            config: of the run.
        """
        run, own = self._started(config)
        return self._timed(lambda run, length: self._program.one(run, self._data, own, length=length), run)

    def seconds_together(self, configs: Sequence[AECFConfig]) -> float:
        """Returns the seconds of an interval of all runs side by side.

        Args:
            configs: of the runs.
        """
        run, own, data, mesh = self._stacked(configs)
        return self._timed(lambda run, length: self._program.many(run, data, own, length=length, mesh=mesh), run)[1]

    def _timed(self, program: Callable[[RunState, int], tuple[RunState, Any]], run: RunState) -> tuple[float, float]:
        """Returns the seconds of the first interval, and the median of three after it."""
        times: list[float] = []
        for _ in range(4):
            start = time.perf_counter()
            run, said = program(run, self._lengths[0])
            jax.block_until_ready(said)
            times.append(time.perf_counter() - start)
        return times[0], sorted(times[1:])[1]

    @functools.cached_property
    def _lengths(self) -> list[int]:
        """Steps between validations, for one epoch."""
        return [int(length) for length in np.diff([0, *self.group.plan.validations])]

    def _started(self, config: AECFConfig) -> tuple[RunState, RunOwn]:
        """Returns a run at its start."""
        root = seed_key(config.seed)
        values = {name: jnp.float32(value) for name, value in numbers(config).items()}
        state = checkpoint_tree(config)["state"]
        best = jax.tree.map(jnp.copy, state.evaluated)  # The state is given away.
        visible = hidden_pattern(self._data.checks.present, config=config, root=root)
        return RunState(state, best, jnp.float32(jnp.inf)), RunOwn(root, values, visible, jnp.ones((), bool))

    def _stacked(self, configs: Sequence[AECFConfig]) -> _Together:
        """Returns runs at their start, with a leading axis, on the devices that train them."""
        mesh = _runs_mesh(len(configs), self._devices)
        copies = 0 if mesh is None else -len(configs) % mesh.size
        runs, owns = zip(*[self._started(config) for config in (*configs, *[configs[-1]] * copies)], strict=True)
        run, own = stacked(runs), jax.tree.map(lambda *leaves: jnp.stack(leaves), *owns)
        own = dataclasses.replace(own, active=jnp.arange(len(runs)) < len(configs))
        if mesh is None:
            return _Together(run, own, self._data, None)
        own, data = (
            jax.device_put(tree, NamedSharding(mesh, spec)) for tree, spec in ((own, P(RUNS)), (self._data, P()))
        )
        return _Together(cut_runs(run, mesh), own, data, mesh)

    def _steps(self) -> list[tuple[int, int, bool]]:
        """Returns (steps of an interval, steps done after it, whether it is the last) for all intervals."""
        lengths = self._lengths * self.group.plan.epochs
        done = np.cumsum(lengths).tolist()
        return [(length, step, step == done[-1]) for length, step in zip(lengths, done, strict=True)]

    def _alone(self, config: AECFConfig) -> Trained:
        """Trains one run."""
        (run, own), noted = self._started(config), _Run(config, Memory())
        for length, step, last in self._steps():
            run, said = self._program.one(run, self._data, own, length=length)
            loss, finite = jax.device_get(said)
            noted.judge(float(loss), bool(finite), step, last)
            if noted.ended is not None:
                break
        return self._trained(noted, run.best)

    def _side_by_side(
        self, configs: Sequence[AECFConfig], told: Callable[[float], None], finished: Callable[[int, Trained], None]
    ) -> list[Trained]:
        """Trains all runs in one program, until the last of them ends."""
        (run, own, data, mesh), noted = self._stacked(configs), [_Run(config, Memory()) for config in configs]
        told_of = 0.0
        for length, step, last in self._steps():
            run, said = self._program.many(run, data, own, length=length, mesh=mesh)
            for one, loss, finite in zip(noted, *(each[: len(noted)] for each in jax.device_get(said)), strict=True):
                if one.ended is None:
                    one.judge(float(loss), bool(finite), step, last)
            active = [one.ended is None for one in noted]
            if not any(active):
                break
            own = dataclasses.replace(own, active=_like(own.active, active))
            done = len(configs) * step / self.group.plan.total_steps
            told(done - told_of)
            told_of = done
        best = jax.device_get(run.best)
        trained = [
            self._trained(one, jax.tree.map(lambda leaf, i=index: leaf[i], best)) for index, one in enumerate(noted)
        ]
        for index, one in enumerate(trained):
            finished(index, one)
        told(len(configs) - told_of)
        return trained

    def _trained(self, run: _Run, params: Any) -> Trained:
        """Returns the best model of a run, with its temperature and its metrics."""
        variables = {"params": params, "constants": self._data.constants}
        validation = Validation(self._checks, run.config)
        if run.config.tempered:
            variables = validation.tempered(variables)
        epochs = run.step // self.group.plan.steps_per_epoch
        return Trained(run.config, AECF_CLIP(run.config, variables=variables), validation.metrics(variables), epochs,
                       run.ended or "completed")  # fmt: skip


def _runs_mesh(runs: int, devices: int | None) -> Mesh | None:
    """Returns the devices that runs are dealt out over; None for one."""
    local = jax.local_devices()
    require((devices or 1) <= len(local), "devices", f"be at most {len(local)}, as there are here", devices)
    # A CPU's devices share its cores, which one of them has all for itself.
    count = min(runs, devices or (1 if local[0].platform == "cpu" else len(local)))
    return None if count == 1 else jax.make_mesh((count,), (RUNS,), (AxisType.Auto,), devices=local[:count])


def _like(old: jax.Array, flags: Sequence[bool]) -> jax.Array:
    """Returns flags where the old ones lie, False for those that there are too few of."""
    filled = [*flags, *[False] * (len(old) - len(flags))]
    return jax.device_put(np.array(filled), old.sharding)
