"""What is served, as one pure function: raw features and presence in, probabilities, weights and their entropy out."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Bool, Float32

from aecf_jax.calibrate import Calibration, calibrated
from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError, import_extra, message, require
from aecf_jax.nn import AECF

PLATFORMS = ("cpu", "cuda", "tpu")
"""What an artefact is lowered for."""

Program = Callable[[Any, Any, Any], dict[str, Array]]
"""(arrays by name, features by modality, present) -> outputs by name."""


def output_name(config: AECFConfig) -> str:
    """Returns what the first output is called: probabilities of classes or labels, else values.

    >>> output_name(AECFConfig(task_type="regression"))
    'values'
    """
    return "probabilities" if config.task_type == "classification" else "values"


def serving_program(config: AECFConfig, calibration: Calibration | None = None) -> Program:
    """Returns the function that is exported and served; normalization and calibration are inside.

    Args:
        config: the model's.
        calibration: of its logits, by what is present; None: they are left as they are.

    Raises:
        InputError: if the calibration is of another model's modalities.
    """
    module = AECF(config)
    constants = None if calibration is None else _constants_of(calibration, config)

    def serve(
        arrays: Mapping[str, Array], features: dict[str, Float32[Array, "batch _"]], present: Bool[Array, "batch _"]
    ) -> dict[str, Array]:
        variables = unflatten_dict(dict(arrays), sep="/")
        encoded: Any = module.apply(variables, features, present, method="encode")
        result: Any = module.apply(variables, encoded, present, method="fuse")
        output = result.output if constants is None else calibrated(constants, result.output, present)
        # Plain dictionaries: a dataclass of flax could be read only where flax is.
        return {output_name(config): _finished(config, output), "weights": result.weights, "entropy": result.entropy}

    return serve


def named_arrays(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a model's variables as one dictionary, such as `constants/prior` -> array."""
    flat: Any = flatten_dict(dict(variables), sep="/")
    return dict(flat)


def exported_program(config: AECFConfig, arrays: Mapping[str, Any], calibration: Calibration | None = None) -> bytes:
    """Returns the serving function as StableHLO for any batch size, which JAX alone can load and run.

    Parameters are its first argument, not part of it: they are kept once, and a model of any size has a small artefact.

    Args:
        config: the model's.
        arrays: `named_arrays` of its variables, of which shapes and types are read.
        calibration: of its logits, of which the few constants become part of the program.

    Raises:
        InputError: if the calibration is of another model's modalities.
        MissingExtraError: if flatbuffers is not installed.
    """
    import_extra("flatbuffers", "export")
    export = import_extra("jax.export", "export")
    (batch,) = export.symbolic_shape("batch")
    widths = zip(config.modalities, config.widths, strict=True)
    features = {name: jax.ShapeDtypeStruct((batch, width), jnp.float32) for name, width in widths}
    present = jax.ShapeDtypeStruct((batch, len(config.modalities)), jnp.bool_)
    shapes = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in arrays.items()}
    serve = serving_program(config, calibration)
    with _without_source_lines():
        lowered = export.export(jax.jit(serve), platforms=PLATFORMS)(shapes, features, present)
        return bytes(lowered.serialize())


def loaded_program(content: bytes, name: str) -> Program:
    """Returns an exported function, to be called; it can be compiled with `jax.jit`.

    Args:
        content: what `exported_program` returned.
        name: what errors call its bundle.

    Raises:
        InputError: if this JAX cannot read it.
        MissingExtraError: if flatbuffers is not installed.
    """
    import_extra("flatbuffers", "export")
    hint = f"Rebuild it with: aecf-jax export --refresh {name}"
    try:
        loaded: Any = import_extra("jax.export", "export").deserialize(bytearray(content))
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(message("bundle", f"hold a program that jax {jax.__version__} reads", reason, hint)) from error
    return loaded.call


@contextmanager
def _without_source_lines() -> Generator[None]:
    """Keeps the paths of this machine out of what is lowered, so that the same model gives the same bytes anywhere."""
    option = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, option)
    jax.config.update(option, 0)
    try:
        yield
    finally:
        jax.config.update(option, before)


def _constants_of(calibration: Calibration, config: AECFConfig) -> dict[str, np.ndarray]:
    """Returns the constants of a calibration, which must be of this model."""
    names = list(calibration.modalities)
    require(names == list(config.modalities), "calibration", f"be of {list(config.modalities)}", names)
    return calibration.arrays()


def _finished(config: AECFConfig, output: Float32[Array, "batch classes"]) -> Float32[Array, "batch classes"]:
    """Returns probabilities where the output is logits."""
    if config.task_type != "classification":
        return output
    return jax.nn.sigmoid(output) if config.multilabel else jax.nn.softmax(output, axis=-1)
