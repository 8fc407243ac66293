"""The verbs and flags of the command line, made from the fields of the configurations and their docstrings.

Nothing here imports JAX or NumPy, so that help is printed at once.
"""

import ast
import collections.abc
import dataclasses
import functools
import inspect
import itertools
import operator
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import arg, subcommand

from aecf_jax.cli._files import CONFIG, existing_run
from aecf_jax.cli._settings import DEFAULT_LOGGER, DEFAULT_SEEDS, FROM_DATA, Defaults
from aecf_jax.cli._verbs import VERBS, Bench, Evaluate
from aecf_jax.config import AECFConfig, DataConfig, DeviceConfig, StreamConfig, Workload

_DESCRIPTION = "Adaptive, entropy-gated fusion of modalities that may be missing. --version prints the version."


@dataclass(frozen=True, kw_only=True)
class TrainOnly:
    """Train a model, and print its metrics for every subset of the modalities."""

    out: Path | None = None
    """Folder of the run; None: runs/DATA-N with the next free number."""
    config: Path | None = None
    """A .toml or .json file with defaults for these flags, for example the config.json of another run."""
    init_from: Path | None = None
    """Start from the parameters of this run, for example an imported one, with its settings as defaults."""
    resume: Path | None = None
    """Go on with the interrupted run in this folder, exactly as it was started; takes no other settings."""
    logger: Literal["tensorboard", "csv", "wandb", "none"] = DEFAULT_LOGGER
    """What is logged to, beside metrics.jsonl."""
    plots: bool = True
    """Draw curves.png and robustness.png."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


@dataclass(frozen=True, kw_only=True)
class SweepOnly:
    """Train seeds times settings, and compare the settings, each with the first.

    For example, 4 settings of 5 seeds each: aecf-jax sweep --data digits --vary learning_rate=1e-3,2e-3 --vary
    fusion=aecf,concat. Runs whose shapes agree share one compiled program. Ctrl-C loses no finished run.
    """

    vary: Annotated[tuple[str, ...], arg(metavar="FIELD=VALUE,VALUE"), tyro.conf.UseAppendAction] = ()
    """A field of the model and its values; given several times, all combinations are trained. A list of widths stands
    in brackets, for example gate_hidden_dims=[32],[64,32]."""
    seeds: int = DEFAULT_SEEDS
    """How many runs of each setting, with the seeds from --seed on."""
    part: Literal["validation", "test"] = "validation"
    """Whose rows the settings are compared on: validation, to choose one; test, for a claim on settings that are fixed
    beforehand."""
    draws: int = 200
    """Resamples of these rows, for intervals and tests: their standard errors are then within 10 %."""
    how: Literal["auto", "sequence", "vmap", "processes"] = "auto"
    """One run after another, side by side in one program, or in processes; auto: what a short trial shows to be
    fastest, which is printed."""
    workers: int | None = None
    """Most processes; None: one for each core."""
    devices: int | None = None
    """Most devices that runs side by side are dealt out over; None: all there are, of a CPU one."""
    out: Path | None = None
    """Folder of the sweep; None: runs/sweep-N with the next free number."""
    config: Path | None = None
    """A .toml or .json file with defaults for these flags, for example the config.json of a run."""
    resume: Path | None = None
    """Go on with the sweep in this folder: finished runs are not repeated; takes no other settings."""
    compile_cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is faster."""


def parsed(argv: Sequence[str], defaults: Defaults) -> Any:
    """Returns the verb that the arguments name, with its flags as attributes.

    Args:
        argv: the arguments, without the program's name.
        defaults: what the flags of `train` and `sweep` are where they are not given.

    Raises:
        SystemExit: after printing help (code 0) or what is wrong with the arguments (code 2).
    """
    verbs = {"train": train_flags(defaults), "sweep": sweep_flags(defaults), **VERBS}
    verbs["evaluate"] = _extended("Evaluate", Evaluate, _own_flags(DeviceConfig))
    verbs["bench"] = _extended("Bench", Bench, _own_flags(Workload))
    union = functools.reduce(operator.or_, [Annotated[verb, subcommand(name)] for name, verb in verbs.items()])
    config = (tyro.conf.OmitArgPrefixes,)
    return tyro.cli(cast(Any, union), prog="aecf-jax", description=_DESCRIPTION, args=argv, config=config)


def settings_file(flags: Any) -> Path | None:
    """Returns the file that the defaults of `train` are in, if any: that of --config, or that of the run to start from.

    Args:
        flags: the parsed flags of any verb.

    Raises:
        InputError: if the run to start from is none.
    """
    given, start = getattr(flags, "config", None), getattr(flags, "init_from", None)
    return given if given is not None or start is None else existing_run(start) / CONFIG


def train_flags(defaults: Defaults) -> type:
    """Returns a dataclass with one flag for every field of the configurations, and those of `TrainOnly`.

    Args:
        defaults: what a flag is where it is not given.
    """
    return _with_settings("Train", TrainOnly, defaults, *_own_flags(DeviceConfig), *_own_flags(StreamConfig))


def sweep_flags(defaults: Defaults) -> type:
    """Returns a dataclass with one flag for every field of both configurations, and those of `SweepOnly`.

    Args:
        defaults: what a flag is where it is not given.
    """
    return _with_settings("Sweep", SweepOnly, defaults)


_Flag = tuple[str, Any, Any]


def _with_settings(name: str, own: type, defaults: Defaults, *more: _Flag) -> type:
    """Returns a dataclass with one flag for every field of both configurations, those of another one, and more."""
    return _extended(name, own, [*_flags(DataConfig, defaults.data), *_flags(AECFConfig, defaults.model), *more])


def _extended(name: str, own: type, fields: Sequence[_Flag]) -> type:
    """Returns a dataclass with the flags of another one, and more."""
    flags = dataclasses.make_dataclass(name, fields, bases=(own,), frozen=True, kw_only=True)
    flags.__doc__ = own.__doc__
    return flags


def _own_flags(config: type) -> list[_Flag]:
    """Returns the flags of a configuration whose defaults no file changes."""
    return _flags(config, {field.name: field.default for field in dataclasses.fields(config)})


def _flags(config: type, defaults: Mapping[str, Any]) -> list[_Flag]:
    """Returns name, annotated type and default of each field of a configuration."""
    hints, helps = get_type_hints(config), field_docs(config)
    flags: list[_Flag] = []
    for field in dataclasses.fields(config):
        kind = _flag_type(field.name, hints[field.name])
        note = " Read from the data." if field.name in FROM_DATA else ""
        flags.append((field.name, Annotated[kind, arg(help=helps[field.name] + note)],
                      dataclasses.field(default=defaults[field.name])))  # fmt: skip
    return flags


def _flag_type(name: str, hint: Any) -> Any:
    """Returns the type that a flag is parsed as: sequences become tuples, and what the data decides may be None."""
    if name == "trainer_kwargs":
        return tuple[str, ...]
    members = [_as_tuple(member) for member in get_args(hint)] if _is_union(hint) else [_as_tuple(hint)]
    return functools.reduce(operator.or_, [*members, *([None] if name in FROM_DATA else [])])


def _is_union(hint: Any) -> bool:
    """Returns whether a type is a choice among types."""
    return type(int | None) is type(hint)


def _as_tuple(hint: Any) -> Any:
    """Returns a sequence's type as a tuple's, which is what it can be parsed to."""
    if get_origin(hint) is collections.abc.Sequence:
        return tuple[(*get_args(hint), ...)]
    return hint


@functools.cache
def field_docs(config: type) -> dict[str, str]:
    """Returns the docstring under each field of a dataclass.

    Args:
        config: a class whose source can be read.
    """
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    body = cast(ast.ClassDef, definition).body
    docs: dict[str, str] = {}
    for field, doc in itertools.pairwise(body):
        match field, doc:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = " ".join(text.split())
            case _:
                pass
    return docs
