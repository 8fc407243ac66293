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
from aecf_jax.types import FusionOutput, Scalar


class Opinions(NamedTuple):
    """What experts share between subsets.

    Attributes:
        evidence: every expert's logits less the prior's, `(batch, modality, classes)`.
        prior: the prior's logits, `(classes,)`.
        encoded: the embeddings.
        parts: what else the rule needs of each modality: counts, or a share of the joint correction's first layer.
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

    def shared(
        self, encoded: Float[Array, "batch modality embed"], *, prior: Float[Array, "classes"], train: bool = False,
        views: int = 1,
    ) -> Opinions:  # fmt: skip
        """Returns what every expert says.

        Args:
            encoded: embeddings of every modality, finite.
            prior: what is predicted where nothing is present.
            train: whether dropout acts.
            views: how many predictions will be made of it.
        """
        said = [self.experts[name](encoded[:, index], train=train) for index, name in enumerate(self.config.modalities)]
        return self._opinions(jnp.stack(said, axis=1).astype(jnp.float32), prior, encoded, views)

    def __call__(
        self, shared: Opinions, present: Bool[Array, "batch modality"], *, train: bool = False
    ) -> FusionOutput:
        """Returns the prediction, with the share of the evidence that each modality has as its weight.

        The weights describe: what is predicted does not read them. They have their gradient, for the reward of their
        entropy, where it is switched on.

        Args:
            shared: what `shared` returned.
            present: True for the modalities to use.
            train: whether dropout acts; that of the experts has acted.
        """
        weights = evidence_weights(shared.evidence, present)
        return FusionOutput(
            output=shared.prior[None] + self._joined(shared, present, train=train),
            weights=weights,
            entropy=gate_entropy(weights),
            fused=jnp.einsum("bm,bme->be", lax.stop_gradient(weights), shared.encoded),
            experts=shared.prior[None, None] + shared.evidence,
        )

    def _width(self) -> int:
        """Width of an expert's output."""
        return self.config.num_classes

    def _opinions(self, said: Array, prior: Array, encoded: Array, views: int) -> Opinions:
        """What the outputs of the experts, (batch, modality, width), mean."""
        del views
        return Opinions(said, prior, encoded)

    def _joined(self, shared: Opinions, present: Array, *, train: bool) -> Array:
        """The evidence of those present, joined by the rule."""
        del train
        if self.config.task_type != "classification" or self.config.fusion == "late_logits":
            return mean_evidence(shared.evidence, present)
        if self.config.fusion == "poe":
            return summed_evidence(shared.evidence, present)
        rule = {"late": mean_probability, "unimodal": surest_evidence}[self.config.fusion]
        return rule(shared.evidence, present, shared.prior, labels=bool(self.config.multilabel))


class EvidentialFusion(ExpertFusion):
    """Experts that count evidence for every class, joined by Dempster's rule: trusted multi-view classification.

    Each label of a multi-label task is a question with two answers.

    Source: Han et al. 2021 (TMC). Differs: trained by the likelihood of the expected probability, without the
    annealed divergence from the uniform Dirichlet distribution.
    """

    def _width(self) -> int:
        """Two counts for each label, one for each class."""
        return self.config.num_classes * (2 if self.config.multilabel else 1)

    def _opinions(self, said: Array, prior: Array, encoded: Array, views: int) -> Opinions:
        """Counts in `parts`; evidence is what Dempster's rule makes of one modality alone."""
        del views
        counts = jax.nn.softplus(said)
        if self.config.multilabel:
            counts = counts.reshape(*said.shape[:2], -1, 2)
        # The rule joins modalities; with one of them at a time, every modality is a row of its own.
        alone = self._logits(
            counts.reshape(-1, 1, *counts.shape[2:]), jnp.ones((said.shape[0] * said.shape[1], 1), bool)
        )
        return Opinions(alone.reshape(*said.shape[:2], -1) - prior[None, None], prior, encoded, counts)

    def _joined(self, shared: Opinions, present: Array, *, train: bool) -> Array:
        """Evidence beyond the prior, although the rule knows of no prior."""
        del train
        return self._logits(shared.parts, present) - shared.prior[None]

    def _logits(self, counts: Array, present: Array) -> Array:
        """Log probabilities of classes, or log odds of labels."""
        found = dempster_shafer(counts, present)
        return found[..., 0] - found[..., 1] if self.config.multilabel else found


class EvidenceFusion(ExpertFusion):
    """Experts whose evidence adds up, and a joint correction that starts at 0.

    The rule is `summed_evidence`, or `pooled_evidence` where `evidence_power` is above 1.
    The experts are trained by their own losses alone, exactly as those of a product of experts; what is joint reads
    them, and the embeddings, without gradient, and so can only add to what they know. The correction is an MLP over the
    concatenated embeddings and the presence bits. Values and embeddings: the experts' mean instead of the sum.
    """

    def setup(self) -> None:
        """Names the experts and the correction."""
        config = self.config
        hidden_dims = tuple(config.head_hidden_dims or ())
        self.experts = {name: _expert(config, config.num_classes, hidden_dims) for name in config.modalities}
        self.joint = SplitHead(
            len(config.modalities), config.embed_width, hidden_dims, config.num_classes,
            dropout=config.head_dropout, zero=True, dtype=compute_dtype(config),
        )  # fmt: skip

    def _opinions(self, said: Array, prior: Array, encoded: Array, views: int) -> Opinions:
        """Evidence, and for many views each modality's share of the correction."""
        # In bfloat16 the sum of rounded products is not the rounded product of the sum.
        alone = views == 1 or self.config.mixed_precision
        return Opinions(said, prior, encoded, None if alone else self.joint.parts(lax.stop_gradient(encoded)))

    def _joined(self, shared: Opinions, present: Array, *, train: bool) -> Array:
        """The evidence of those present, added up and corrected."""
        config, evidence = self.config, lax.stop_gradient(shared.evidence)
        if config.task_type == "classification":
            power = config.evidence_power
            joined = (
                pooled_evidence(evidence, present, power=power, centred=not config.multilabel)
                if power > 1
                else summed_evidence(evidence, present)
            )
        else:
            joined = mean_evidence(evidence, present)
        if shared.parts is None:
            return joined + self.joint.whole(lax.stop_gradient(shared.encoded), present, train=train)
        return joined + self.joint(shared.parts, present, train=train)


class _Expert(nn.Module):
    """A rectifier, hidden layers if any, and a linear layer."""

    hidden_dims: tuple[int, ...]
    output_dim: int
    dropout: Scalar
    dtype: Any

    @nn.compact
    def __call__(self, x: Float[Array, "batch embed"], *, train: bool = False) -> Float[Array, "batch out"]:
        return MLP(self.hidden_dims, self.output_dim, dropout=self.dropout, dtype=self.dtype, name="mlp")(
            nn.relu(x), train=train
        )


def _expert(config: AECFConfig, width: int, hidden_dims: tuple[int, ...]) -> nn.Module:
    """A new expert."""
    return _Expert(hidden_dims, width, config.head_dropout, compute_dtype(config))
