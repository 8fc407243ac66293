"""One training step, and a chunk of them as one compiled scan over rows that lie on the device."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Key, Shaped

from aecf_jax.config import AECFConfig
from aecf_jax.losses import AECFLoss
from aecf_jax.ops import is_on
from aecf_jax.train._compiled import compiler_options
from aecf_jax.train._keys import StepKeys, step_keys
from aecf_jax.train._masks import hardship, odds_after
from aecf_jax.train._mesh import held, spread
from aecf_jax.train._optimizer import global_norm, make_optimizer
from aecf_jax.train._programs import Numbers, numbers, program_config, with_numbers
from aecf_jax.train._state import StepInfo, TrainState, averaged_state
from aecf_jax.train._views import Views, alone_logits, training_views
from aecf_jax.types import Batch

_ONCE = ("consistency_loss", "confidence_loss", "unimodal_loss")
_TOTAL = "total_loss"
_PROGRAMS_KEPT = 16


def loss_and_components(
    params: Any, constants: Any, batch: Batch, *, config: AECFConfig, steps_per_epoch: int,
    step: Int[Array, ""], keys: StepKeys, odds: Float[Array, "modality"] | None = None,
) -> tuple[Float[Array, ""], StepInfo]:  # fmt: skip
    """Returns the loss of a step and what is to be said of it (the gradient's norm still 0).

    With `pair_training`, the mean over the full and the hidden view, plus the consistency terms, once; otherwise the
    loss of the view that is trained.

    Args:
        params: the model's parameters.
        constants: what the model has that is not trained.
        batch: rows.
        config: all settings.
        steps_per_epoch: what turns steps into epochs, for every schedule.
        step: steps done.
        keys: of this step.
        odds: the state's, where the curriculum learns.
    """
    variables = {"params": params, "constants": constants}
    epoch = step.astype(jnp.float32) / steps_per_epoch
    views = training_views(variables, batch, config=config, progress=epoch / config.epochs, keys=keys, odds=odds)
    alone, alone_read = None, is_on(config.unimodal_coeff) and views.trained.experts is None
    if is_on(config.consistency_loss_coeff) or alone_read:
        alone = alone_logits(variables, views.shared, batch.present, config=config, keys=keys)
    components = _components(views, alone, batch, AECFLoss(config), epoch)
    costs = None
    if odds is not None:
        losses = lax.stop_gradient(AECFLoss(config).row_losses(views.trained.output, batch.label))
        costs = hardship(losses, batch.present, views.visible)
    info = StepInfo(
        components=components,
        gradient_norm=jnp.zeros((), jnp.float32),
        entropy=jnp.mean(views.trained.entropy),
        # Counted as floats: between devices, integers would be summed apart from all else.
        visible=_count(views.visible) / jnp.maximum(_count(batch.present), 1),
        hardship=costs,
    )
    return components[_TOTAL], info


def _components(
    views: Views, alone: Any, batch: Batch, loss_fn: AECFLoss, epoch: Float[Array, ""]
) -> dict[str, Float[Array, ""]]:
    """Returns the loss of a batch by component, over the views that are trained."""
    output, full, pair = views.trained, views.full, loss_fn.config.pair_training
    alone, draws = {"alone_logits": alone, "experts": output.experts}, views.draws
    _, trained = loss_fn(
        output.output, batch.label, output.weights, epoch, present=views.visible, draws=draws,
        full_logits=None if full is None else full.output, **(alone if full is None else {}),
    )  # fmt: skip
    if full is None:
        return trained
    # What compares predictions stands in one of the two, and counts once; the rest is of both views or of the trained.
    if pair:
        _, whole = loss_fn(full.output, batch.label, full.weights, epoch, present=batch.present, draws=draws, **alone)
        joined = {name: 0.5 * (whole[name] + trained[name]) for name in trained}
    else:
        whole, joined = loss_fn.compared(full.output, batch.label, epoch, present=batch.present, **alone), trained
    joined = joined | {name: whole[name] + trained[name] for name in _ONCE if name in trained}
    parts = [value for name, value in joined.items() if name != _TOTAL]
    return joined | {_TOTAL: sum(parts, start=jnp.zeros((), jnp.float32))}


def _count(seen: Array) -> Float[Array, ""]:
    """Returns how many are True."""
    return jnp.sum(seen, dtype=jnp.float32)


def train_step(
    state: TrainState, constants: Any, batch: Batch, *, config: AECFConfig, steps_per_epoch: int,
    optimizer: optax.GradientTransformation, keys: StepKeys,
) -> tuple[TrainState, StepInfo]:  # fmt: skip
    """Returns the state after one more step, and what the step says of itself.

    All randomness is in its keys, which are those of `step_keys` at the steps done: so a run that is stopped and
    restored repeats nothing and skips nothing.

    Args:
        state: before the step.
        constants: what the model has that is not trained.
        batch: rows.
        config: all settings.
        steps_per_epoch: optimizer steps in an epoch.
        optimizer: from `make_optimizer`.
        keys: of this step.
    """
    objective = functools.partial(
        loss_and_components, config=config, steps_per_epoch=steps_per_epoch, step=state.step, keys=keys, odds=state.odds
    )
    gradients, info = jax.grad(objective, has_aux=True)(state.params, constants, batch)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    info = info.replace(gradient_norm=global_norm(gradients))
    odds = state.odds
    if odds is not None and info.hardship is not None:
        odds = odds_after(odds, info.hardship, step=config.masking_step)
    state = dataclasses.replace(state, step=state.step + 1, params=params, opt_state=opt_state, odds=odds)
    if state.average is not None:
        state = averaged_state(state, window=jnp.maximum(config.average_epochs * steps_per_epoch, 1.0))
    return state, info


class TrainChunk:
    """Some steps in a row as one compiled program; call it as a function.

    Attributes:
        program: what is compiled; runs that differ in nothing that it depends on share it.
        optimizer: what it updates with.
    """

    def __init__(
        self, config: AECFConfig, steps_per_epoch: int, program: "_Program | None" = None, mesh: Mesh | None = None
    ) -> None:
        self.program = program or _Program(program_config(config), steps_per_epoch, mesh)
        self.optimizer = make_optimizer(config, steps_per_epoch)
        self._numbers = numbers(config)

    @property
    def traces(self) -> int:
        """How many programs were traced so far: one for each length of a chunk and shape of the data."""
        return self.program.traces

    def __call__(
        self, state: TrainState, constants: Any, data: Batch, order: Int[Array, "steps batch"],
        first: int | Shaped[Array, ""], root: Key[Array, ""], *, length: int,
    ) -> tuple[TrainState, StepInfo]:  # fmt: skip
        """Returns the state after `length` more steps, and what each of them says of itself.

        Args:
            state: before the steps; its buffers are used up.
            constants: what the model has that is not trained.
            data: all training rows, on the device.
            order: the rows of every batch of this epoch.
            first: which of these batches to begin with.
            root: the run's key.
            length: how many steps.
        """
        return self.program.scan(state, constants, data, order, first, root, self._numbers, length=length)

    def stream(
        self, state: TrainState, constants: Any, batches: Batch, root: Key[Array, ""]
    ) -> tuple[TrainState, StepInfo]:
        """Returns the state after one step for each batch, and what each of them says of itself.

        Args:
            state: before the steps; its buffers are used up.
            constants: what the model has that is not trained.
            batches: rows with an axis of steps before that of the batch.
            root: the run's key.
        """
        return self.program.stream(state, constants, batches, root, self._numbers)


class _Program:
    """The compiled programs behind chunks, and how often they were traced."""

    def __init__(self, config: AECFConfig, steps_per_epoch: int, mesh: Mesh | None) -> None:
        self.traces = 0
        self._config, self._steps_per_epoch, self._mesh = config, steps_per_epoch, mesh
        jit = functools.partial(jax.jit, donate_argnums=0, compiler_options=compiler_options(config))
        self.scan, self.stream = jit(self._scan, static_argnames="length"), jit(self._stream)

    def _scan(
        self, state: TrainState, constants: Any, data: Batch, order: Array, first: Any, root: Array, values: Numbers,
        *, length: int,
    ) -> tuple[TrainState, StepInfo]:  # fmt: skip
        """The traced body, of rows that lie on the device."""
        rows = lax.dynamic_slice_in_dim(order, first, length)
        return self._taken(state, constants, rows, root, values, lambda index: _rows(data, index))

    def _stream(
        self, state: TrainState, constants: Any, batches: Batch, root: Array, values: Numbers
    ) -> tuple[TrainState, StepInfo]:
        """The traced body, of batches as they are."""
        return self._taken(state, constants, batches, root, values, lambda batch: batch)

    def _taken(
        self, state: TrainState, constants: Any, over: Any, root: Array, values: Numbers,
        batch_of: Callable[[Any], Batch],
    ) -> tuple[TrainState, StepInfo]:  # fmt: skip
        """The steps, with what they leave where it was."""
        self.traces += 1
        config = with_numbers(self._config, values)
        state, info = _scanned(
            state, constants, over, root, lambda each: spread(batch_of(each), self._mesh), config, self._steps_per_epoch
        )
        return held(state, self._mesh), info


def scanned_steps(
    state: TrainState, constants: Any, data: Batch, order: Int[Array, "steps batch"], root: Key[Array, ""], *,
    config: AECFConfig, steps_per_epoch: int,
) -> tuple[TrainState, StepInfo]:  # fmt: skip
    """Returns the state after one step for each row of `order`; for use inside a compiled program.

    Args:
        state: before the steps.
        constants: what the model has that is not trained.
        data: all training rows, on the device.
        order: the rows of every batch.
        root: the run's key.
        config: all settings.
        steps_per_epoch: optimizer steps in an epoch.
    """
    return _scanned(state, constants, order, root, lambda index: _rows(data, index), config, steps_per_epoch)


def _scanned(
    state: TrainState, constants: Any, over: Any, root: Array, batch_of: Callable[[Any], Batch], config: AECFConfig,
    steps_per_epoch: int,
) -> tuple[TrainState, StepInfo]:  # fmt: skip
    """Returns the state after one step for each of what is scanned over."""
    optimizer = make_optimizer(config, steps_per_epoch)

    def body(state: TrainState, each: Any) -> tuple[TrainState, StepInfo]:
        return train_step(
            state, constants, batch_of(each), config=config, steps_per_epoch=steps_per_epoch, optimizer=optimizer,
            keys=step_keys(root, state.step),
        )  # fmt: skip

    return lax.scan(body, state, over)


def _rows(data: Batch, index: Array) -> Batch:
    """Returns some rows of data that lie on the device."""
    return jax.tree.map(lambda array: jnp.take(array, index, axis=0, mode="clip"), data)


def make_train_chunk(config: AECFConfig, steps_per_epoch: int, mesh: Mesh | None = None) -> TrainChunk:
    """Returns the chunk of a configuration; runs that differ in nothing that is compiled share its program.

    Args:
        config: all settings.
        steps_per_epoch: optimizer steps in an epoch.
        mesh: the devices; None: one.
    """
    return TrainChunk(config, steps_per_epoch, _program(program_config(config), steps_per_epoch, mesh))


@functools.lru_cache(maxsize=_PROGRAMS_KEPT)
def _program(config: AECFConfig, steps_per_epoch: int, mesh: Mesh | None) -> _Program:
    """Returns the program of a configuration, the same one every time."""
    return _Program(config, steps_per_epoch, mesh)
