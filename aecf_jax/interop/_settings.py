"""The configuration of an imported model: its structure from its tensors, everything else from what was saved."""

from collections.abc import Mapping, Sequence
from typing import Any

from aecf_jax.config import AECFConfig
from aecf_jax.errors import InputError, require, require_type
from aecf_jax.interop._layers import Layer, Parts

_STRUCTURE = frozenset(
    {"modalities", "feat_dim", "input_dims", "num_classes", "task_type", "gate_hidden_dims", "gate_hidden_dim",
     "gate_hidden", "gate_disabled", "gate_learnable_temp", "gate_init_temp", "gate_min_temp", "encoder", "embed_dim",
     "standardize", "head_hidden_dims", "encoder_hidden_dims", "fusion"}
)  # fmt: skip
"""Settings that the tensors decide."""

_NOTED: Mapping[str, Any] = {"mixed_precision": False, "checkpoint_dir": "checkpoints", "log_dir": "logs"}
"""Settings that are not taken over, and what they are here."""

_STUBS = ("consistency_coeff", "consistency_loss_coeff")
_DEFAULT_TEMPERATURES = (2.0, 1.5)


def gated_config(
    parts: Parts, settings: Mapping[str, Any], modalities: Sequence[str] | None, multilabel: bool | None
) -> tuple[AECFConfig, list[str]]:
    """Returns the configuration of a gated model, and what of its settings has no counterpart here.

    Args:
        parts: its tensors.
        settings: what was saved beside them; may be empty.
        modalities: their names; None: those of the settings, of the encoders, or PyTorch's two.
        multilabel: whether labels are independent; None: read from the targets when there are any.

    Raises:
        InputError: if tensors and settings contradict each other, or neither says what the modalities are.
    """
    names = _modalities(parts, settings, modalities)
    width = _embed_width(parts, settings, len(names))
    task = _task(parts, settings)
    classes = parts.head[-1].weight.shape[0] if parts.head else width
    notes: list[str] = []
    if settings.get("feat_dim", width) != width:
        notes.append(f"feat_dim {settings['feat_dim']}: the tensors are {width} wide")
    frequencies = settings.get("label_frequencies", settings.get("label_freq"))
    structure = {
        "modalities": names, "feat_dim": width, "input_dims": (width,) * len(names), "num_classes": classes,
        "task_type": task, "mixed_precision": False,
        "multilabel": True if multilabel is None and frequencies is not None else multilabel,
        **_encoders(parts, names, width), **_gate(parts, settings, notes), **_head(parts, task, width),
    }  # fmt: skip
    own = {"consistency_loss_coeff": 0.1, "entropy_cosine_fraction": 0.1} if parts.legacy else {}
    return _with_settings(AECFConfig.pytorch(**structure | own), settings, notes, legacy=parts.legacy)


def pooled_config(
    width: int, heads: int, settings: Mapping[str, Any], modalities: Sequence[str]
) -> tuple[AECFConfig, list[str]]:
    """Returns the configuration of an attention pool alone: embeddings in, one embedding out.

    Args:
        width: of the embeddings.
        heads: how many heads the pool has.
        settings: what was saved beside it; may be empty.
        modalities: their names.
    """
    config = AECFConfig.pytorch(
        modalities=tuple(modalities), feat_dim=width, input_dims=(width,) * len(modalities), num_classes=width,
        task_type="embedding", fusion="attention",
        attention_heads=heads, feature_normalization=False, mixed_precision=False, masking_strategy="random",
        mask_gate_input=True,
    )  # fmt: skip
    known = {"num_heads", "num_modalities", "embed_dim"}
    return _with_settings(config, {k: v for k, v in settings.items() if k not in known}, [], legacy=False)


def _modalities(parts: Parts, settings: Mapping[str, Any], given: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the names of the modalities."""
    count = parts.gate[-1].weight.shape[0] if parts.gate else None
    saved = settings.get("modalities")
    names: Any = given or saved or list(parts.encoders) or (["image", "text"] if count in (2, None) else None)
    hint = "Pass --modalities with their names, in the order of the model."
    require(names is not None, "modalities", "be known", f"a checkpoint that names none of its {count}", hint)
    require_type(isinstance(names, (list, tuple)), "modalities", "be a list of names", names)
    rule = f"name {count} modalities, one for each of the gate's weights"
    require(count in (None, len(names)), "modalities", rule, list(names), hint)
    return tuple(str(name) for name in names)


def _embed_width(parts: Parts, settings: Mapping[str, Any], count: int) -> int:
    """Returns the width of what is fused, on which gate and head must agree."""
    of_head = parts.head[0].weight.shape[1] if parts.head else None
    of_gate = parts.gate[0].weight.shape[1] / count if parts.gate else None
    agree = None in (of_head, of_gate) or of_head == of_gate
    require(
        agree, "checkpoint", "have a gate and a head of one width", f"{of_gate:g} and {of_head}" if not agree else ""
    )
    width = of_head or of_gate or settings.get("feat_dim")
    whole = isinstance(width, (int, float)) and width > 0 and float(width).is_integer()
    require(whole, "checkpoint", "say how wide its features are", width)
    return int(width)  # pyright: ignore[reportArgumentType]


def _task(parts: Parts, settings: Mapping[str, Any]) -> str:
    """Returns the task, which the shape of the head tells where no setting does."""
    saved = settings.get("task_type")
    task = saved or ("embedding" if not parts.head else "regression" if len(parts.head) > 1 else "classification")
    require(bool(parts.head) or task == "embedding", "checkpoint", "have a head", f"none, for {task}")
    return str(task)


def _encoders(parts: Parts, names: tuple[str, ...], width: int) -> dict[str, Any]:
    """Returns the settings of the encoders: of PyTorch's, those whose layers are in force."""
    used = used_encoders(parts)
    if not used:
        return {}
    strangers = [name for name in used if name not in names]
    require(not strangers, "encoders", f"be of the modalities {', '.join(names)}", ", ".join(strangers))
    widths = tuple(used[name][0].weight.shape[1] if name in used else width for name in names)
    for name, layers in used.items():
        out = layers[-1].weight.shape[0]
        require(out == width, f"encoder of {name}", f"have an output {width} wide", out)
    fields = {"input_dims": widths, "embed_dim": width}
    hidden = {tuple(layer.weight.shape[0] for layer in layers[:-1]) for layers in used.values()}
    rule = "have hidden layers of the same widths in every modality"
    require(len(hidden) == 1, "encoders", rule, sorted(map(list, hidden)))
    (hidden_dims,) = hidden
    projects = all(used[name][0].weight.shape[1] != width for name in used)
    if not hidden_dims and projects:
        return fields
    every = len(used) == len(names)
    require(every, "encoders", "be there for every modality, or for none", ", ".join(used))
    kind = {"encoder": "mlp", "encoder_hidden_dims": hidden_dims} if hidden_dims else {"encoder": "linear"}
    return fields | kind


def used_encoders(parts: Parts) -> dict[str, list[Layer]]:
    """Returns the encoders whose layers the model uses.

    The dict-configured generation makes a square projection for every modality, and calls it only where the features
    are of another width.

    Args:
        parts: a model's tensors.
    """
    if not parts.legacy:
        return parts.encoders
    return {
        name: layers
        for name, layers in parts.encoders.items()
        if len(layers) > 1 or layers[0].weight.shape[0] != layers[0].weight.shape[1]
    }


def _gate(parts: Parts, settings: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Returns the settings of the gate."""
    if not parts.gate:
        return {"gate_disabled": True}
    require(not settings.get("gate_disabled"), "gate_disabled", "be false where there is a gate", True)
    hidden = tuple(layer.weight.shape[0] for layer in parts.gate[:-1])
    require(len(hidden) > 0, "gate", "have a hidden layer", "none")
    saved = settings.get("gate_hidden_dims")
    if isinstance(saved, (list, tuple)) and tuple(saved) != hidden:
        notes.append(f"gate_hidden_dims {list(saved)}: PyTorch ignores it; the gate has {list(hidden)}")
    start, least = (
        settings.get(name, default)
        for name, default in zip(("gate_init_temp", "gate_min_temp"), _DEFAULT_TEMPERATURES, strict=True)
    )
    if parts.log_temperature is None and parts.temperature is not None:
        start = float(parts.temperature)
        least = min(least, start)
    elif least > start:
        notes.append(f"gate_init_temp {start}: below the floor; the trained temperature is the tensor's")
        start = least
    fields = {"gate_hidden_dims": hidden, "gate_init_temp": float(start), "gate_min_temp": float(least)}
    return fields | {"gate_learnable_temp": parts.log_temperature is not None}


def _head(parts: Parts, task: str, width: int) -> dict[str, Any]:
    """Returns the hidden widths of the head, where they are not those that PyTorch's head of the task has."""
    hidden = tuple(layer.weight.shape[0] for layer in parts.head[:-1])
    usual = (max(1, width // 2),) if task == "regression" else ()
    return {} if hidden == usual else {"head_hidden_dims": hidden}


def _with_settings(
    config: AECFConfig, settings: Mapping[str, Any], notes: list[str], *, legacy: bool
) -> tuple[AECFConfig, list[str]]:
    """Returns a configuration with every saved setting that it can hold, and a note for each of the others."""
    weight, reward = settings.get("entropy_max_lambda"), settings.get("entropy_max_coeff")
    for name, value in settings.items():
        if name in _STRUCTURE or value is None or (name == "entropy_max_coeff" and weight is not None):
            continue
        if name in _NOTED:
            kept = _NOTED[name]
            notes += [] if value == kept else [f"{name} {value}: not taken over; it is {kept} here"]
        elif name in _STUBS and not legacy:
            notes.append(f"{name} {value}: a constant 0 in this generation, so 0 here")
        elif name == "trainer_kwargs" and isinstance(value, Mapping):
            config = _with_trainer_arguments(config, value, notes)
        else:
            config = _tried(config, name, value, notes)
    if weight is not None and reward not in (None, weight):
        notes.append(f"entropy_max_coeff {reward}: PyTorch reads entropy_max_lambda, {weight}")
    return config, notes


def _with_trainer_arguments(config: AECFConfig, arguments: Mapping[Any, Any], notes: list[str]) -> AECFConfig:
    """Returns a configuration with those of Lightning's arguments that have a meaning here."""
    for name, value in arguments.items():
        kept = dict(config.trainer_kwargs) | {str(name): value}
        config = _tried(config, "trainer_kwargs", kept, notes, shown=f"trainer_kwargs {name}")
    return config


def _tried(config: AECFConfig, name: str, value: Any, notes: list[str], shown: str = "") -> AECFConfig:
    """Returns a configuration with one setting changed, or as it was, with a note why."""
    try:
        return config.update(**{name: value})
    except (InputError, TypeError, ValueError, AttributeError) as error:
        notes.append(f"{shown or name}: {error}")
        return config
