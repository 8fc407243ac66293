"""From flags, a file of defaults and the data's facts to the two configurations of a run.

Nothing here imports JAX or NumPy, so that help is printed at once.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from aecf_jax.config import AECFConfig, DataConfig, DeviceConfig, StreamConfig, read_mapping
from aecf_jax.errors import nearest, require

FROM_DATA = ("modalities", "input_dims", "num_classes", "task_type", "multilabel")
"""Fields of the model that the data decides; a flag may confirm them, or choose among the modalities."""

DEFAULT_LOGGER = "tensorboard"

DEFAULT_SEEDS = 5

_NEAR = 0.8

_DATA_FIELDS = tuple(field.name for field in dataclasses.fields(DataConfig))
_MODEL_FIELDS = tuple(field.name for field in dataclasses.fields(AECFConfig))


@dataclass(frozen=True)
class Defaults:
    """What the flags are where they are not given.

    Attributes:
        base: the configuration that flags change.
        model: flag -> default, for the fields of `AECFConfig`; None for what the data decides, unless a file says it.
        data: flag -> default, for the fields of `DataConfig`.
    """

    base: AECFConfig
    model: Mapping[str, Any]
    data: Mapping[str, Any]


def make_defaults(path: Path | None = None) -> Defaults:
    """Returns the defaults of the flags.

    Args:
        path: a .toml or .json file with fields of either configuration; None: the configurations' own defaults.

    Raises:
        InputError: if the file cannot be read, or holds an unknown key or a value outside its range.
    """
    mapping = {} if path is None else read_mapping(path)
    for name in mapping:
        # Only a name that looks like a data setting: the model's configuration knows its own, and PyTorch's, names.
        near = get_close_matches(name, [*_DATA_FIELDS, *_MODEL_FIELDS], n=1, cutoff=_NEAR)
        misspelt = name not in (*_DATA_FIELDS, *_MODEL_FIELDS) and bool(near) and near[0] in _DATA_FIELDS
        require(not misspelt, name, "be a configuration field", "an unknown key", nearest(name, _DATA_FIELDS))
    data = DataConfig.from_dict({name: value for name, value in mapping.items() if name in _DATA_FIELDS})
    base = AECFConfig.from_dict({name: value for name, value in mapping.items() if name not in _DATA_FIELDS})
    model = {name: getattr(base, name) for name in _MODEL_FIELDS}
    model |= {name: getattr(base, name) if name in mapping else None for name in FROM_DATA}
    model["trainer_kwargs"] = tuple(f"{name}={json.dumps(value)}" for name, value in base.trainer_kwargs)
    return Defaults(base, model, dataclasses.asdict(data))


def data_config(flags: Any) -> DataConfig:
    """Returns the data's settings that the flags give.

    Args:
        flags: the parsed flags of `train`.

    Raises:
        InputError: for a value outside its range.
    """
    return DataConfig(**{name: getattr(flags, name) for name in _DATA_FIELDS})


def device_config(flags: Any) -> DeviceConfig:
    """Returns on which devices, and with which other processes, the flags say to run.

    Args:
        flags: the parsed flags of `train` or `evaluate`.

    Raises:
        InputError: for a value outside its range.
    """
    return DeviceConfig(**{field.name: getattr(flags, field.name) for field in dataclasses.fields(DeviceConfig)})


def stream_config(flags: Any) -> StreamConfig:
    """Returns whether the flags say to stream.

    Args:
        flags: the parsed flags of `train`.

    Raises:
        InputError: for a value outside its range.
    """
    return StreamConfig(stream=flags.stream, memory=flags.memory)


def model_config(flags: Any, defaults: Defaults, facts: Mapping[str, Any]) -> AECFConfig:
    """Returns the model's settings that the flags give, completed by what the data decides.

    Args:
        flags: the parsed flags of `train`.
        defaults: what they were where they were not given.
        facts: the data's value of each field in `FROM_DATA`.

    Raises:
        InputError: for a value outside its range, or a flag that contradicts the data.
    """
    for name in FROM_DATA:
        given = getattr(flags, name)
        agrees = given is None or _same(given, facts[name])
        require(agrees, name, f"be {_shown(facts[name])}, as the data has it", _shown(given), "Leave it out.")
    changed = {
        name: getattr(flags, name)
        for name in _MODEL_FIELDS
        if name not in FROM_DATA and getattr(flags, name) != defaults.model[name]
    }
    if "trainer_kwargs" in changed:
        changed["trainer_kwargs"] = _keyword_arguments(changed["trainer_kwargs"])
    return defaults.base.update(**changed, **{name: facts[name] for name in FROM_DATA})


def reject_unread(flags: Any, defaults: Defaults) -> None:
    """Raises `InputError` if a setting was given beside `--resume`, which reads all of them but `--root` from the run.

    Args:
        flags: the parsed flags of `train` or `sweep`.
        defaults: what they were where they were not given.
    """
    unset = {
        **defaults.model,
        **defaults.data,
        "out": None,
        "config": None,
        "init_from": None,
        "logger": DEFAULT_LOGGER,
        "vary": (),
        "seeds": DEFAULT_SEEDS,
    }
    given = [name for name, value in unset.items() if name != "root" and getattr(flags, name, value) != value]
    shown = ", ".join("--" + name.replace("_", "-") for name in given)
    require(not given, "resume", "stand without other settings: the run goes on as it was started", shown)


def _keyword_arguments(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Returns `name=value` texts as a dictionary; a value that is no JSON is text."""
    arguments: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        require(bool(sign), "trainer_kwargs", "be given as name=value", pair)
        try:
            arguments[name] = json.loads(value)
        except ValueError:
            arguments[name] = value
    return arguments


def _same(given: Any, fact: Any) -> bool:
    """Returns whether a flag says what the data says, be it a list or a tuple."""
    if isinstance(given, (list, tuple)) and isinstance(fact, (list, tuple)):
        return list(given) == list(fact)
    return given == fact


def _shown(value: Any) -> str:
    """Returns a value as the command line takes it."""
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
