"""The compiled program of a group of runs: everything from one validation to the next, in one dispatch."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.config import AECFConfig
from aecf_jax.nn import with_temperature
from aecf_jax.train import (
    Numbers,
    TrainState,
    both_views,
    compiler_options,
    epoch_order,
    fitted_temperatures,
    scanned_steps,
    validation_info,
    with_numbers,
)
from aecf_jax.trainer import Plan
from aecf_jax.types import Batch

RUNS = "runs"
"""The axis of a mesh along which runs side by side are dealt out."""

_PROGRAMS_KEPT = 8
"""A program for the CPU is some thousand mapped pieces of memory; Linux ends a process that asks for 65,530 of them."""


@struct.dataclass
class RunState:
    """What a run changes.

    Attributes:
        state: parameters, optimizer and steps done.
        best: the parameters with the lowest validation loss so far; the first ones before there is one.
        best_loss: that loss.
    """

    state: TrainState
    best: Any
    best_loss: Float[Array, ""]


@struct.dataclass
class RunData:
    """What all runs of a group read.

    Attributes:
        constants: what the models have that is not trained.
        train: all training rows.
        checks: all validation rows.
    """

    constants: Any
    train: Batch
    checks: Batch


@struct.dataclass
class RunOwn:
    """What a run reads that is its own.

    Attributes:
        root: its key.
        numbers: what its configuration gives the program as arguments.
        visible: what validation leaves visible.
        active: whether it goes on; one that has stopped keeps its best parameters.
    """

    root: Key[Array, ""]
    numbers: Numbers
    visible: Bool[Array, "rows modality"]
    active: Bool[Array, ""]


class SweepProgram:
    """The program of a group, and how often it was traced; call `one` for a run, `many` for runs side by side.

    On the CPU a run of the default fusion is rounded side by side as alone: `docs/sweeps.md` says of which others too.

    Attributes:
        traces: how many programs were compiled.
    """

    def __init__(self, config: AECFConfig, plan: Plan) -> None:
        self.traces = 0
        self._config, self._plan = config, plan
        jit = functools.partial(jax.jit, donate_argnums=0, compiler_options=compiler_options(config))
        self.one = jit(self._interval, static_argnames="length")
        self.many = jit(self._many, static_argnames=("length", "mesh"))

    def _many(
        self, run: RunState, data: RunData, own: RunOwn, *, length: int, mesh: Mesh | None
    ) -> tuple[RunState, Any]:
        """The same for runs side by side: `run` and `own` have a leading axis, but for the steps done, all the same.

        On several devices each has some of the runs, and tells the others nothing.
        """
        one, axes = functools.partial(self._interval, length=length), jax.tree.map(_axis, run)
        together = jax.vmap(one, in_axes=(axes, None, 0), out_axes=(axes, 0))
        if mesh is None:
            return together(run, data, own)
        cut = jax.tree.map(_cut, run)
        # Unchecked: that all devices count the same steps cannot be seen from their types.
        dealt = jax.shard_map(
            together, mesh=mesh, in_specs=(cut, P(), P(RUNS)), out_specs=(cut, P(RUNS)), check_vma=False
        )
        return dealt(run, data, own)

    def _interval(self, run: RunState, data: RunData, own: RunOwn, *, length: int) -> tuple[RunState, Any]:
        """Returns the run after some steps and a validation, with the validation loss and whether all was finite."""
        self.traces += 1
        config, plan = with_numbers(self._config, own.numbers), self._plan
        epoch, first = jnp.divmod(run.state.step, plan.steps_per_epoch)
        order = epoch_order(
            own.root, epoch, rows=len(data.train.label), steps=plan.steps_per_epoch, batch_size=plan.batch_size
        )
        state, info = scanned_steps(
            run.state, data.constants, data.train, lax.dynamic_slice_in_dim(order, first, length), own.root,
            config=config, steps_per_epoch=plan.steps_per_epoch,
        )  # fmt: skip
        finite = jnp.all(jnp.isfinite(info.components["total_loss"])) & jnp.all(jnp.isfinite(info.gradient_norm))
        loss = _validation_loss(state.evaluated, data, own.visible, config)
        improved = own.active & finite & (loss < run.best_loss)  # A loss that is NaN is no improvement.
        best = jax.tree.map(lambda new, old: jnp.where(improved, new, old), state.evaluated, run.best)
        return RunState(state, best, jnp.where(improved, loss, run.best_loss)), (loss, finite)


@functools.lru_cache(maxsize=_PROGRAMS_KEPT)
def sweep_program(config: AECFConfig, plan: Plan) -> SweepProgram:
    """Returns the program of a group, the same one every time.

    Args:
        config: from `program_config`.
        plan: of the steps.
    """
    return SweepProgram(config, plan)


def stacked(runs: Sequence[RunState]) -> RunState:
    """Returns runs at the same step as `SweepProgram.many` takes them.

    Args:
        runs: each as `SweepProgram.one` takes it.
    """
    return jax.tree.map(lambda *leaves: leaves[0] if _counts(leaves[0]) else jnp.stack(leaves), *runs)


def _counts(leaf: Array) -> bool:
    """Returns whether a number counts steps. One for all runs: what is divided by it is rounded as for one."""
    return leaf.ndim == 0 and jnp.issubdtype(leaf.dtype, jnp.integer)


def cut_runs(run: RunState, mesh: Mesh) -> RunState:
    """Returns stacked runs, each where it is trained.

    Args:
        run: as `stacked` returns them, as many as divide evenly.
        mesh: the devices.
    """
    return jax.tree.map(lambda leaf: jax.device_put(leaf, NamedSharding(mesh, _cut(leaf))), run)


def _cut(leaf: Array) -> P:
    """Returns how an array of stacked runs is dealt out."""
    return P() if _counts(leaf) else P(RUNS)


def _axis(leaf: Array) -> int | None:
    """Returns which axis of an array has an entry for every run."""
    return None if _counts(leaf) else 0


def _validation_loss(params: Any, data: RunData, visible: Array, config: AECFConfig) -> Float[Array, ""]:
    """Returns what a checkpoint is judged by, at the temperature that fits the validation rows if one is fitted."""
    variables, checks = {"params": params, "constants": data.constants}, data.checks
    if config.tempered:
        held_out = both_views(variables, checks, visible, config=config)
        fitted = fitted_temperatures(held_out, data.constants["prior"], adaptive=config.adaptively_tempered)
        variables = with_temperature(variables, *fitted)
    info = validation_info(variables, checks, visible, config=config)
    return 0.5 * (info.full_loss + info.hidden_loss)
