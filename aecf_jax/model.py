"""The model as an object: an `AECF` module together with its variables, called like a function."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from aecf_jax.config import AECFConfig, TaskType
from aecf_jax.errors import InputError, require
from aecf_jax.nn import AECF, check_features, init_variables, validate_tensor_input
from aecf_jax.rng import Stream, seed_key, stream_key
from aecf_jax.types import FusionOutput


class AECF_CLIP:  # noqa: N801  (the name that PyTorch users know)
    """A configured model with its variables; calling it gives predictions and weights.

    Immutable: training returns a new one (`AECFTrainer(...).fit(...)`, then its `.model`).

    Attributes:
        config: all settings.
        module: the linen module, for functional use.
        variables: its parameters and constants.

    >>> import numpy as np
    >>> model = AECF_CLIP(AECFConfig(modalities=("image", "text"), feat_dim=16, num_classes=5))
    >>> logits, weights = model({"image": np.ones((4, 16), np.float32)})  # the text is missing
    >>> logits.shape, weights[0].tolist()
    ((4, 5), [1.0, 0.0])
    """

    def __init__(
        self, config: AECFConfig, *, seed: int | None = None, variables: Mapping[str, Any] | None = None
    ) -> None:
        """Makes a model.

        Args:
            config: all settings.
            seed: of new parameters; None: `config.seed`.
            variables: trained ones, instead of new parameters.
        """
        self.config = config
        self.module = AECF(config)
        if variables is None:
            root = seed_key(config.seed if seed is None else seed)
            variables = init_variables(config, key=stream_key(root, Stream.INIT))
        self.variables: Mapping[str, Any] = variables

    def __call__(
        self, features: Mapping[str, Any], present: Bool[Array | np.ndarray, "batch modality"] | None = None
    ) -> tuple[Float[Array, "batch classes"], Float[Array, "batch modality"]]:
        """Returns the outputs and the gate's weights, in evaluation mode.

        Args:
            features: arrays (batch, width) by modality name; one left out is missing in every row.
            present: True where a modality is there; None: everything given is.

        Raises:
            InputError: for an unknown modality, another width, unequal rows, or a wrong shape of `present`.
        """
        result = self.forward(features, present)
        return result.output, result.weights

    def forward(
        self,
        features: Mapping[str, Any],
        present: Bool[Array | np.ndarray, "batch modality"] | None = None,
        *,
        train: bool = False,
        key: Key[Array, ""] | None = None,
    ) -> FusionOutput:
        """Returns everything the model computes.

        Args:
            features: arrays (batch, width) by modality name; one left out is missing in every row.
            present: True where a modality is there; None: everything given is.
            train: whether dropout acts.
            key: randomness of dropout; required in training.

        Raises:
            InputError: for an unknown modality, another width, unequal rows, a wrong shape of `present`, or a
                missing key.
        """
        require(key is not None or not train, "key", "be given in training", key)
        arrays, there = complete_features(features, present, self.config)
        return _forward(self.module, self.variables, arrays, there, key, train=train)

    def replace(self, variables: Mapping[str, Any]) -> "AECF_CLIP":
        """Returns the same model with other variables."""
        return AECF_CLIP(self.config, variables=variables)

    def get_model_info(self) -> dict[str, Any]:
        """Returns what describes the model: configuration, parameter counts, modalities, task."""
        parameters = sum(int(leaf.size) for leaf in jax.tree.leaves(self.variables["params"]))
        return {
            "config": self.config.to_dict(),
            "total_parameters": parameters,
            "trainable_parameters": parameters,
            "modalities": list(self.config.modalities),
            "task_type": self.config.task_type,
            "gate_disabled": self.config.gate_disabled,
        }


@partial(jax.jit, static_argnums=0, static_argnames="train")
def _forward(
    module: AECF, variables: Any, features: dict[str, Array], present: Array, key: Array | None, *, train: bool
) -> FusionOutput:
    """The compiled model: one program for all patterns of presence."""
    rngs = {} if key is None else {"dropout": key}
    return module.apply(variables, features, present, train=train, rngs=rngs)  # pyright: ignore[reportReturnType]


def complete_features(
    features: Mapping[str, Any], present: Any | None, config: AECFConfig
) -> tuple[dict[str, Array], Bool[Array, "batch modality"]]:
    """Returns one array for every modality, zeros for those left out, and what is present.

    Args:
        features: arrays (batch, width) by modality name.
        present: True where a modality is there; None: everything given is.
        config: names and widths.

    Raises:
        InputError: for an unknown modality, another width, unequal rows, or a wrong shape of `present`.
    """
    rows = check_features(features, config.modalities, config.widths)
    arrays = {
        name: jnp.asarray(features[name], jnp.float32) if name in features else jnp.zeros((rows, width))
        for name, width in zip(config.modalities, config.widths, strict=True)
    }
    given = jnp.array([name in features for name in config.modalities])[None, :]
    there = jnp.ones((rows, len(config.modalities)), bool) if present is None else jnp.asarray(present)
    validate_tensor_input(there, "present", 2, (rows, len(config.modalities)), bool)
    return arrays, there & given


def create_aecf_model(
    modalities: Sequence[str] | None = None,
    task_type: TaskType = "classification",
    num_classes: int = 80,
    **kwargs: Any,
) -> AECF_CLIP:
    """Returns a new model.

    Args:
        modalities: names; None: image and text.
        task_type: classification, regression or embedding.
        num_classes: classes, labels, targets or coordinates.
        **kwargs: further fields of `AECFConfig`.

    >>> create_aecf_model(modalities=["image", "text"], num_classes=80).config.num_classes
    80
    """
    names = tuple(modalities or ("image", "text"))
    return AECF_CLIP(AECFConfig(modalities=names, task_type=task_type, num_classes=num_classes, **kwargs))


def test_model_forward(model: AECF_CLIP, batch_size: int = 4) -> dict[str, Any]:  # noqa: PT028  (no test)
    """Returns whether a model predicts on random features, and what its outputs look like.

    Args:
        model: to be tried.
        batch_size: rows to try it on.

    >>> test_model_forward(create_aecf_model(feat_dim=8, num_classes=3))["success"]
    True
    """
    key = jax.random.key(0)
    features = {
        name: jax.random.normal(jax.random.fold_in(key, index), (batch_size, model.config.widths[index]))
        for index, name in enumerate(model.config.modalities)
    }
    try:
        result = model.forward(features)
    except InputError as error:
        return {"success": False, "error": str(error)}
    problems = _problems(result, batch_size, model.config)
    return {
        "success": not problems,
        **({"error": problems[0]} if problems else {}),
        "logits_shape": list(result.output.shape),
        "weights_shape": list(result.weights.shape),
        "logits_range": [float(result.output.min()), float(result.output.max())],
        "weights_range": [float(result.weights.min()), float(result.weights.max())],
    }


# So that pytest does not collect it in projects that import it.
test_model_forward.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def _problems(result: FusionOutput, rows: int, config: AECFConfig) -> list[str]:
    """What is wrong with outputs on complete features."""
    checks = [
        (result.output.shape == (rows, config.num_classes), f"output has shape {result.output.shape}"),
        (result.weights.shape == (rows, len(config.modalities)), f"weights have shape {result.weights.shape}"),
        (bool(jnp.all(jnp.isfinite(result.output))), "output is not finite"),
        # float32: sums of up to some hundred weights are off by less than 1e-5.
        (bool(jnp.allclose(result.weights.sum(axis=-1), 1.0, atol=1e-5)), "weights do not sum to 1"),
    ]
    return [problem for ok, problem in checks if not ok]
