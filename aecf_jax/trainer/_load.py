"""New variables and states, and a trained model from the checkpoints of its run."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
from jax.sharding import Mesh
from jaxtyping import Array, Key

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError, message
from aecf_jax.model import AECF_CLIP
from aecf_jax.nn import init_variables
from aecf_jax.rng import Stream, seed_key, stream_key
from aecf_jax.train import compiler_options, init_state, make_optimizer, program_config, tree_shardings

_PROGRAMS_KEPT = 16


class LoadedModel(NamedTuple):
    """A model, and the checkpoint that it is from.

    Attributes:
        model: with the configuration that it was trained with.
        step: steps it had been trained.
        metrics: what was logged last, up to that step.
    """

    model: AECF_CLIP
    step: int
    metrics: dict[str, float]


def load_model(
    checkpoint_dir: str | Path, *, which: Literal["best", "last"] = "best", mesh: Mesh | None = None
) -> LoadedModel:
    """Returns the model in a folder of checkpoints; a damaged checkpoint is reported and passed over.

    Args:
        checkpoint_dir: the folder, for example RUN/checkpoints.
        which: the checkpoint with the lowest validation loss (the last one, if there was no validation), or the last.
        mesh: the devices that the model is to lie on, whatever it was trained on; None: one.

    Raises:
        InputError: if there is no checkpoint, or none that is undamaged.
    """
    checkpoints = Checkpoints(checkpoint_dir)
    meta = checkpoints.read_meta()
    if meta is None:
        raise InputError(message("checkpoint folder", "hold a readable checkpoint", str(checkpoints.directory)))
    config = AECFConfig.from_dict(meta["config"])
    template = abstract_tree(config, mesh)
    restored = checkpoints.restore_best(template) if which == "best" else None
    restored = restored or checkpoints.restore_latest(template)
    if restored is None:
        raise InputError(message("checkpoint folder", "hold a checkpoint", str(checkpoints.directory)))
    return LoadedModel(AECF_CLIP(config, variables=model_variables(restored.state)), restored.step,
                       restored.meta["metrics"])  # fmt: skip


def checkpoint_tree(config: AECFConfig, mesh: Mesh | None = None) -> dict[str, Any]:
    """Returns what is saved of a run, before its first step and before its constants are fitted.

    Args:
        config: all settings.
        mesh: the devices that it is made on, none of which ever holds what the others do; None: one.
    """
    return _tree_program(program_config(config), mesh)(seed_key(config.seed))


def abstract_tree(config: AECFConfig, mesh: Mesh | None = None) -> dict[str, Any]:
    """Returns the shapes, types and shardings of `checkpoint_tree`.

    Args:
        config: all settings.
        mesh: the devices; None: one.
    """
    shapes = jax.eval_shape(_new_tree(program_config(config)), seed_key(0))
    if mesh is None:
        return shapes
    return jax.tree.map(lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
                        shapes, tree_shardings(shapes, mesh))  # fmt: skip


def _new_tree(config: AECFConfig) -> Callable[[Key[Array, ""]], dict[str, Any]]:
    """Returns what makes a new tree from a run's root key."""
    # The number of steps is in the schedules alone, which are not saved.
    optimizer = make_optimizer(config, steps_per_epoch=1)

    def tree(root: Key[Array, ""]) -> dict[str, Any]:
        variables = init_variables(config, key=stream_key(root, Stream.INIT))
        return {"state": init_state(variables["params"], optimizer, config), "constants": variables["constants"]}

    return tree


@functools.lru_cache(maxsize=_PROGRAMS_KEPT)
def _tree_program(config: AECFConfig, mesh: Mesh | None) -> Callable[[Key[Array, ""]], dict[str, Any]]:
    """Returns the same as one program, where the optimizer's moments alone would be a hundred."""
    tree = _new_tree(config)
    shardings = None if mesh is None else tree_shardings(jax.eval_shape(tree, seed_key(0)), mesh)
    return jax.jit(tree, out_shardings=shardings, compiler_options=compiler_options(config))


def model_variables(tree: dict[str, Any]) -> dict[str, Any]:
    """Returns the variables of a model from what is saved of a run.

    Args:
        tree: as `checkpoint_tree` returns it.
    """
    return {"params": tree["state"].evaluated, "constants": tree["constants"]}
