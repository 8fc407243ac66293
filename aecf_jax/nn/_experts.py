"""Fusions of experts: every modality predicts by itself, and a rule joins the predictions of those that are present."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Bool, Float

from aecf_jax.config import AECFConfig
from aecf_jax.nn._dtype import compute_dtype
from aecf_jax.nn._mlp import MLP
from aecf_jax.nn._split import SplitHead
from aecf_jax.ops import (
    dempster_shafer,
    evidence_weights,
    gate_entropy,
    mean_evidence,
    mean_probability,
    pooled_evidence,
    summed_evidence,
    surest_evidence,
)
from aecf_jax.types import FusionOutput


class Opinions(NamedTuple):
    """What experts share between subsets.

    Attributes:
        evidence: every expert's logits less the prior's, `(batch, modality, classes)`.
        prior: the prior's logits, `(classes,)`.
        encoded: the embeddings.
        parts: each modality's share of the joint correction's first layer; None where there is none.
    """

    evidence: Float[Array, "batch modality classes"]
    prior: Float[Array, "classes"]
    encoded: Float[Array, "batch modality embed"]
    parts: Any = None


class ExpertFusion(nn.Module):
    """One head for each modality; the rule named by `config.fusion` joins what they say.

    late: mean of probabilities; late_logits: mean of logits; poe: product, divided by the prior as often as it was
    counted twice; unimodal: the surest expert alone. For values and embeddings: their mean, by every rule.

    Attributes:
        config: all settings.
    """

    config: AECFConfig

    def setup(self) -> None:
        """Names the experts."""
        hidden_dims = tuple(self.config.head_hidden_dims or ())
        self.experts = {name: _expert(self.config, self._width(), hidden_dims) for name in self.config.modalities}

    def _width(self) -> int:
        """Width of an expert's output."""
        return self.config.num_classes

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Opinions:  # fmt: skip
        """Returns what every expert says.

        Args:
            encoded: embeddings of every modality, finite.
            prior: what is predicted where nothing is present.
            train: whether dropout acts.
            views: not used.
        """
        del views
        said = [self.experts[name](encoded[:, index], train=train) for index, name in enumerate(self.config.modalities)]
        return Opinions(jnp.stack(said, axis=1).astype(jnp.float32), prior, encoded)

    def __call__(
        self, shared: Opinions, present: Bool[Array, "batch modality"], *, train: bool = False
    ) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: not used: the experts' dropout has acted.
        """
        del train
        joined = self._joined(shared.evidence, present, shared.prior)
        return self._output(joined, shared, present)

    def _joined(self, evidence: Array, present: Array, prior: Array) -> Array:
        """The evidence of those present, joined by the rule."""
        labels = bool(self.config.multilabel)
        if self.config.task_type != "classification" or self.config.fusion == "late_logits":
            return mean_evidence(evidence, present)
        if self.config.fusion == "poe":
            return summed_evidence(evidence, present)
        rule = {"late": mean_probability, "unimodal": surest_evidence}[self.config.fusion]
        return rule(evidence, present, prior, labels=labels)

    def _output(self, joined: Array, shared: Opinions, present: Array) -> FusionOutput:
        """The prediction, with the share of the evidence that each modality has as its weight.

        The weights only describe: no loss trains them.
        """
        weights = lax.stop_gradient(evidence_weights(shared.evidence, present))
        return FusionOutput(
            output=shared.prior[None] + joined,
            weights=weights,
            entropy=gate_entropy(weights),
            fused=jnp.einsum("bm,bme->be", weights, shared.encoded),
            experts=shared.prior[None, None] + shared.evidence,
        )


class EvidentialFusion(ExpertFusion):
    """Experts that count evidence for every class, joined by Dempster's rule: trusted multi-view classification.

    Each label of a multi-label task is a question with two answers.

    Source: Han et al. 2021 (TMC). Differs: trained by the likelihood of the expected probability, without the
    annealed divergence from the uniform Dirichlet distribution.
    """

    def _width(self) -> int:
        """Two counts for each label, one for each class."""
        return self.config.num_classes * (2 if self.config.multilabel else 1)

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Opinions:  # fmt: skip
        """Returns the counts of every expert.

        Args:
            encoded: embeddings of every modality, finite.
            prior: what is predicted where nothing is present.
            train: whether dropout acts.
            views: not used.
        """
        said = super().shared(encoded, prior=prior, train=train, views=views)
        return said._replace(evidence=jax.nn.softplus(said.evidence))

    def __call__(
        self, shared: Opinions, present: Bool[Array, "batch modality"], *, train: bool = False
    ) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: not used: the experts' dropout has acted.
        """
        del train
        counts, batch, modalities = shared.evidence, *present.shape
        if self.config.multilabel:
            counts = counts.reshape(batch, modalities, -1, 2)
        alone = jax.vmap(lambda one: self._logits(counts, present & one[None, :]), out_axes=1)(
            jnp.eye(modalities, dtype=bool)
        )
        opinions = shared._replace(evidence=alone - shared.prior[None, None])
        return self._output(self._logits(counts, present) - shared.prior[None], opinions, present)

    def _logits(self, counts: Array, present: Array) -> Array:
        """Log probabilities of classes, or log odds of labels."""
        found = dempster_shafer(counts, present)
        return found[..., 0] - found[..., 1] if self.config.multilabel else found


class EvidenceFusion(ExpertFusion):
    """Experts whose evidence adds up (`pooled_evidence`), and a joint correction that starts at 0.

    Each expert is a rectifier and one linear layer on its modality's embedding; the correction is an MLP over the
    concatenated embeddings and the presence bits. Values and embeddings: the experts' mean instead of the sum.
    """

    def setup(self) -> None:
        """Names the experts and the correction."""
        config = self.config
        self.experts = {name: _expert(config, config.num_classes, ()) for name in config.modalities}
        self.joint = SplitHead(
            len(config.modalities), config.embed_width, tuple(config.head_hidden_dims or ()), config.num_classes,
            dropout=config.head_dropout, zero=True, dtype=compute_dtype(config),
        )  # fmt: skip

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Opinions:  # fmt: skip
        """Returns what every expert says, and its modality's share of the correction.

        Args:
            encoded: embeddings of every modality, finite.
            prior: what is predicted where nothing is present.
            train: whether dropout acts.
            views: not used.
        """
        return super().shared(encoded, prior=prior, train=train, views=views)._replace(parts=self.joint.parts(encoded))

    def __call__(
        self, shared: Opinions, present: Bool[Array, "batch modality"], *, train: bool = False
    ) -> FusionOutput:
        """Returns the prediction from what is present.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts.
        """
        config = self.config
        if config.task_type == "classification":
            joined = pooled_evidence(
                shared.evidence, present, power=config.evidence_power, centred=not config.multilabel
            )
        else:
            joined = mean_evidence(shared.evidence, present)
        return self._output(joined + self.joint(shared.parts, present, train=train), shared, present)


class _Expert(nn.Module):
    """A rectifier, hidden layers if any, and a linear layer."""

    hidden_dims: tuple[int, ...]
    output_dim: int
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "batch embed"], *, train: bool = False) -> Float[Array, "batch out"]:
        return MLP(self.hidden_dims, self.output_dim, dropout=self.dropout, dtype=self.dtype, name="mlp")(
            nn.relu(x), train=train
        )


def _expert(config: AECFConfig, width: int, hidden_dims: tuple[int, ...]) -> nn.Module:
    """A new expert."""
    return _Expert(hidden_dims, width, config.head_dropout, compute_dtype(config))
