"""The whole model: encode what is present, weigh it, mix it, predict."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int, Key

from aecf_jax.config import AECFConfig
from aecf_jax.nn._constants import evidence_size
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._encoders import EncoderFactory
from aecf_jax.nn._fusions import make_fusion
from aecf_jax.nn._inputs import check_features
from aecf_jax.ops import unit_norm
from aecf_jax.rng import made_once
from aecf_jax.types import Features, FusionOutput


class AECF(nn.Module):
    """Gated fusion of any modalities, of which any may be missing.

    An absent modality has weight exactly 0; what stands in its place, NaN and infinity included, changes neither
    output nor gradient. A row with nothing present is given the prior of the training rows. `present` is an array,
    so that one compiled program serves every pattern.

    Variables: `params`, and `constants` (`mean` and `scale` of the training rows by modality, and the `prior`),
    which are not trained.

    Attributes:
        config: all settings.

    Source: `AECFCore` of the PyTorch generation. Differs: aware of what is present; modalities of different widths.
    """

    config: AECFConfig

    def setup(self) -> None:
        """Names the parts."""
        config = self.config
        dtype = compute_dtype(config)
        self.encoders = {
            name: _make_encoder(config, name, width, dtype)
            for name, width in zip(config.modalities, config.widths, strict=True)
        }
        self.fusion = make_fusion(config)
        widths = dict(zip(config.modalities, config.widths, strict=True))
        self.mean = self.variable("constants", "mean", lambda: {m: jnp.zeros(w) for m, w in widths.items()})
        self.scale = self.variable("constants", "scale", lambda: {m: jnp.ones(w) for m, w in widths.items()})
        self.prior = self.variable("constants", "prior", jnp.zeros, (config.num_classes,))
        if config.tempered:
            self.temperature = self.variable("constants", "temperature", jnp.ones, ())
        if config.adaptively_tempered:
            self.growth = self.variable("constants", "growth", jnp.zeros, ())

    def __call__(
        self, features: Features, present: Bool[Array, "batch modality"] | None = None, *, train: bool = False
    ) -> FusionOutput:
        """Returns the prediction with the weights behind it.

        Args:
            features: by modality name; a modality may be left out, which means that it is absent in every row.
            present: True where a modality is there; None: everything given is.
            train: whether dropout acts; then the apply call needs a "dropout" key.

        Raises:
            InputError: for an unknown modality, another width, unequal rows, or a wrong shape of `present`.
        """
        rows = check_features(features, self.config.modalities, self.config.widths)
        given = jnp.array([name in features for name in self.config.modalities])
        everything = jnp.ones((rows, len(self.config.modalities)), dtype=bool)
        present = (everything if present is None else present) & given[None, :]
        return self.fuse(self.encode(features, present, train=train), present, train=train)

    def encode(
        self, features: Features, present: Bool[Array, "batch modality"], *, train: bool = False
    ) -> Float[Array, "batch modality embed"]:
        """Returns every modality's embedding, 0 where it is absent.

        Args:
            features: by modality name; one that is left out must be absent in `present`.
            present: True where a modality is there.
            train: whether dropout acts.
        """
        rows = present.shape[0]
        columns = [
            self._encode_one(name, features[name], present[:, index, None], train=train)
            if name in features
            else jnp.zeros((rows, self.config.embed_width))
            for index, name in enumerate(self.config.modalities)
        ]
        return jnp.stack(columns, axis=1)

    def _encode_one(self, name: str, x: Array, present: Array, *, train: bool) -> Array:
        """One modality's embedding, 0 where absent."""
        config = self.config
        # Replaced before any arithmetic: NaN * 0 is NaN, in values and in gradients.
        if config.standardize:
            mean = jnp.broadcast_to(self.mean.value[name], x.shape)
            x = (jnp.where(present, x, mean) - mean) / self.scale.value[name][None, :]
        else:
            x = jnp.where(present, x, jnp.zeros_like(x))
        x = unit_norm(x) if config.feature_normalization else x
        encoded = self.encoders[name](x, train=train).astype(jnp.float32)
        return jnp.where(present, encoded, jnp.zeros_like(encoded))

    def share(self, encoded: Float[Array, "batch modality embed"], *, train: bool = False, views: int = 1) -> Any:
        """Returns what every view of a batch has in common beyond its embeddings: see `Fusion.shared`.

        Args:
            encoded: embeddings of every modality, finite.
            train: whether dropout acts.
            views: how many predictions will be made of it.
        """
        return self.fusion.shared(encoded, prior=self.prior.value, train=train, views=views)

    def fuse_shared(self, shared: Any, present: Bool[Array, "batch modality"], *, train: bool = False) -> FusionOutput:
        """Returns the prediction from what `share` returned; the prior where nothing is present.

        Args:
            shared: what `share` returned.
            present: True for the modalities to use; the others are hidden from the gate as well.
            train: whether dropout acts.
        """
        result = self.fusion(shared, present, train=train)
        return self._finished(result, jnp.sum(present, axis=-1), train=train)

    def fuse(
        self, encoded: Float[Array, "batch modality embed"], present: Bool[Array, "batch modality"], *,
        train: bool = False,
    ) -> FusionOutput:  # fmt: skip
        """Returns the prediction from embeddings: `fuse_shared(share(encoded), present)`.

        Args:
            encoded: embeddings of every modality, finite.
            present: True for those to use.
            train: whether dropout acts.
        """
        return self.fuse_shared(self.share(encoded, train=train), present, train=train)

    def mix(
        self, encoded: Float[Array, "batch modality embed"], weights: Float[Array, "batch modality"], *,
        train: bool = False,
    ) -> FusionOutput:  # fmt: skip
        """Returns the prediction from embeddings and given weights, where the fusion is one that has a gate.

        Args:
            encoded: embeddings of every modality, finite.
            weights: summing to 1, or all 0 where nothing is present.
            train: whether dropout acts.
        """
        result = self.fusion.mix(encoded, weights, train=train)
        return self._finished(result, jnp.sum(weights > 0, axis=-1), train=train)

    def _finished(self, result: FusionOutput, seen: Int[Array, "batch"], *, train: bool) -> FusionOutput:
        """The prediction, the prior where nothing is seen; evidence is divided by the temperature.

        The temperature is fitted to held-out rows, and training does not know it.
        """
        prior, output = self.prior.value[None, :], result.output
        if self.config.tempered and not train:
            evidence, temperature = output - prior, self.temperature.value
            if self.config.adaptively_tempered:
                size = evidence_size(evidence, labels=bool(self.config.multilabel))
                temperature = temperature * size[:, None] ** self.growth.value
            output = prior + evidence / temperature
        return result.replace(  # pyright: ignore[reportAttributeAccessIssue]
            output=jnp.where(seen[:, None] > 0, output, prior)
        )


def init_variables(config: AECFConfig, *, key: Key[Array, ""]) -> dict[str, Any]:
    """Returns new variables of `AECF(config)`: random parameters, and constants that change nothing.

    Args:
        config: all settings.
        key: randomness of the parameters.

    >>> import jax
    >>> variables = init_variables(AECFConfig(feat_dim=4, num_classes=3), key=jax.random.key(0))
    >>> sorted(variables), variables["constants"]["prior"].shape
    (['constants', 'params'], (3,))
    """
    return dict(_initial(config)(key))


@functools.lru_cache(maxsize=16)
def _initial(config: AECFConfig) -> Callable[[Key[Array, ""]], Any]:
    """Returns what makes them: one program, not a hundred small ones, which can create parameters sharded."""

    def made(key: Key[Array, ""]) -> Any:
        features = {name: jnp.zeros((1, width)) for name, width in zip(config.modalities, config.widths, strict=True)}
        return AECF(config).init(made_once(key), features)

    return jax.jit(made)


def _make_encoder(config: AECFConfig, modality: str, width: int, dtype: Any) -> nn.Module:
    """The encoder that the configuration asks for."""
    extra: Mapping[str, Any] = {
        "identity": {},
        "linear": {"dropout": config.encoder_dropout},
        "mlp": {"hidden_dims": config.encoder_hidden_dims, "dropout": config.encoder_dropout},
    }[config.encoder]
    return EncoderFactory.create_encoder(config.encoder, modality, width, config.embed_width, dtype=dtype, **extra)
