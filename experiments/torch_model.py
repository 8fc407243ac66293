"""The same model, loss and optimizer as `AECFConfig.pytorch()`, in PyTorch: what benchmark_pytorch.py compares with.

Written to be fast in PyTorch: features of all modalities in one array, a calibration penalty by bins' sums, no
synchronization within a step.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from aecf_jax import AECFConfig
from aecf_jax.ops import warmup_cosine
from aecf_jax.train import learning_rate

_BINS = 15


class TorchModel(nn.Module):
    """A gate of one hidden layer over unit-length features, and a linear head of their weighted mean."""

    def __init__(self, config: AECFConfig) -> None:
        super().__init__()
        count, width, hidden = len(config.modalities), config.feat_dim, config.gate_hidden_dims[0]
        self.config = config
        self.gate = nn.Linear(count * width, hidden)
        self.gate_out = nn.Linear(hidden, count)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.gate_init_temp)))
        self.head = nn.Linear(width, config.num_classes)

    def load(self, params: Mapping[str, Any]) -> "TorchModel":
        """Returns this model with the parameters of the JAX one."""
        fusion = params["fusion"]
        layers = {"gate": fusion["gate"]["mlp"]["hidden_0"], "gate_out": fusion["gate"]["mlp"]["out"],
                  "head": fusion["head"]["mlp"]["out"]}  # fmt: skip
        with torch.no_grad():
            for name, layer in layers.items():
                getattr(self, name).weight.copy_(torch.tensor(np.asarray(layer["kernel"]).T.copy()))
                getattr(self, name).bias.copy_(torch.tensor(np.asarray(layer["bias"])))
            self.log_temperature.fill_(float(fusion["gate"]["log_temperature"]))
        return self

    def forward(self, x: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Returns logits and weights from features `(batch, modality, width)`; `seen` `(modality,)`: True to use."""
        config = self.config
        x = functional.normalize(x, dim=-1)
        if seen is not None:
            x = x * seen[None, :, None]
        hidden = functional.dropout(functional.relu(self.gate(x.flatten(1))), config.gate_dropout, self.training)
        logits = self.gate_out(hidden).float() / self.log_temperature.exp().clamp(min=config.gate_min_temp)
        if seen is not None:
            logits = logits.masked_fill(~seen[None], -math.inf)
        weights = logits.softmax(-1)
        if self.training and config.curriculum_mask:
            weights = self._hidden(weights)
        fused = (weights[..., None] * x).sum(1)
        return self.head(fused).float(), weights

    def _hidden(self, weights: Tensor) -> Tensor:
        """Returns the weights of what the curriculum leaves visible: entropy_min, every row gets one back."""
        config, (rows, count) = self.config, weights.shape
        hide = config.masking_prob * torch.softmax(-weights.detach() / config.masking_tau, -1)
        back = torch.randint(count, (rows, 1), device=weights.device)
        kept = (torch.rand_like(weights) >= hide) | (back == torch.arange(count, device=weights.device))
        left = weights * kept
        return left / left.sum(-1, keepdim=True).clamp(min=1e-12)


def total_loss(output: Tensor, weights: Tensor, y: Tensor, reward: Tensor, config: AECFConfig) -> Tensor:
    """Returns what `AECFLoss` returns: focal cross-entropy, entropy reward, calibration penalty, squared logits."""
    log_p, log_not = functional.logsigmoid(output), functional.logsigmoid(-output)
    alpha, gamma, smoothing = config.focal_alpha, config.focal_gamma, config.label_smoothing
    focal = -(y * alpha * (gamma * log_not).exp() * log_p + (1 - y) * (1 - alpha) * (gamma * log_p).exp() * log_not)
    smooth = y * (1 - smoothing) + smoothing / 2
    plain = -(smooth * log_p + (1 - smooth) * log_not)
    loss = ((1 - smoothing) * focal + smoothing * plain).mean()
    entropy = torch.special.entr(weights.clamp(min=1e-30)).sum(-1).mean()
    loss = loss - reward * entropy + config.l2_logits_coeff * output.square().mean()
    return loss + config.ece_penalty_coeff * _calibration_error(output, y)


def _calibration_error(output: Tensor, y: Tensor) -> Tensor:
    """Returns the mean over labels of the gap of confidence and frequency in equal-width bins."""
    probs, classes = output.sigmoid(), output.shape[1]
    edges = torch.arange(1, _BINS, device=output.device) / _BINS
    cell = torch.bucketize(probs.detach(), edges) + _BINS * torch.arange(classes, device=output.device)
    sums = torch.zeros(classes * _BINS, device=output.device).index_add_(0, cell.flatten(), (probs - y).flatten())
    return sums.abs().sum() / output.numel()


class TorchTraining:
    """Steps of training: clipping, AdamW in the same three groups, rates and reward by the same schedules."""

    def __init__(
        self, config: AECFConfig, params: Any, features: Mapping[str, np.ndarray], label: np.ndarray, *,
        fused: bool = False, autocast: bool = False, compiled: bool = False, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.config, self.device, self.autocast = config, device, autocast
        self.x = torch.tensor(np.stack([features[name] for name in config.modalities], axis=1), device=device)
        self.y = torch.tensor(label, device=device)
        self.model = TorchModel(config).load(params).to(device).train()
        gate = [*self.model.gate.parameters(), *self.model.gate_out.parameters(), self.model.log_temperature]
        rate, head = config.learning_rate, self.model.head
        groups = [
            {"params": gate, "weight_decay": 0.0, "lr": config.gate_learning_rate},
            {"params": [head.weight], "weight_decay": config.weight_decay, "lr": rate},
            {"params": [head.bias], "weight_decay": 0.0, "lr": rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=rate, fused=fused)
        self.loss = torch.compile(self._loss) if compiled else self._loss
        self._schedules(len(label) // config.batch_size)
        self.done = 0

    def _schedules(self, epoch: int) -> None:
        """Reads both schedules for all steps, since PyTorch's share of a step must not pay for JAX's."""
        config, total = self.config, self.config.epochs * epoch
        steps = np.arange(total)
        share = learning_rate(steps, peak=1.0, warmup=config.warmup_epochs * epoch, total=total)
        self.share: Sequence[float] = np.asarray(share).tolist()
        reward = warmup_cosine(
            steps / epoch, free=float(config.entropy_free_epochs), warmup=float(config.entropy_warmup_epochs),
            total=float(config.epochs), peak=config.entropy_max_coeff, cosine=config.entropy_cosine_fraction,
        )  # fmt: skip
        self.reward = torch.tensor(np.array(reward), device=self.device)

    def _loss(self, x: Tensor, y: Tensor, reward: Tensor) -> Tensor:
        """Returns the loss of a batch."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.autocast):
            output, weights = self.model(x)
        return total_loss(output, weights, y, reward, self.config)

    def steps(self, order: Tensor) -> list[Tensor]:
        """Returns the losses of some steps, one for each row of `order`, not waited for."""
        losses: list[Tensor] = []
        for index in order:
            loss = self.loss(self.x[index], self.y[index], self.reward[self.done])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip_val)
            for group, peak in zip(self.optimizer.param_groups, self._peaks(), strict=True):
                group["lr"] = peak * self.share[self.done]
            self.optimizer.step()
            losses.append(loss.detach())
            self.done += 1
        return losses

    def _peaks(self) -> tuple[float, float, float]:
        """Returns the largest rates of the groups."""
        return self.config.gate_learning_rate, self.config.learning_rate, self.config.learning_rate
