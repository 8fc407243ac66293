"""The table of named sources, and the one door to all data: a name or a path in, three parts out."""

from pathlib import Path

from aecf_jax.config import DataConfig
from aecf_jax.data._avmnist import AVMNIST
from aecf_jax.data._dataset import Splits
from aecf_jax.data._digits import DIGITS
from aecf_jax.data._handwritten import HANDWRITTEN
from aecf_jax.data._source import Source
from aecf_jax.data._user import load_file_splits
from aecf_jax.data._yeast import YEAST
from aecf_jax.errors import nearest, require

SOURCES: dict[str, Source] = {source.name: source for source in (DIGITS, AVMNIST, HANDWRITTEN, YEAST)}
"""The named sources, the default first."""


def load_splits(config: DataConfig) -> Splits:
    """Returns the training, validation and test parts of a named source or of the user's features.

    Args:
        config: which data, and how to cut it.

    Raises:
        InputError: if the name is unknown and no path, a file is missing or unreadable, what it holds breaks a rule, or
            a setting has no meaning for this data.

    >>> splits = load_splits(DataConfig())
    >>> [len(part) for part in splits], splits.modalities
    ([1079, 359, 359], ('top_left', 'top_right', 'bottom_left', 'bottom_right'))
    """
    source = SOURCES.get(config.data)
    if source is None:
        _check_variant(config, ("plain",))
        known = Path(config.data).expanduser().exists()
        require(known, "data", f"be one of {', '.join(SOURCES)}, or a path that exists", config.data,
                nearest(config.data, SOURCES))  # fmt: skip
        return load_file_splits(config)
    _check_variant(config, source.difficulties)
    require(config.label_kind == "auto", "label_kind", f"be auto for {source.name}", config.label_kind,
            f"Its labels are {source.labels}.")  # fmt: skip
    own = source.own_split and not config.validation_fraction is config.test_fraction is None
    require(not own, "validation_fraction and test_fraction", "be left out", f"{source.name}, which has its own split")
    return source.load(config)


def describe_sources() -> tuple[Source, ...]:
    """Returns the named sources, for a table of them.

    >>> [source.name for source in describe_sources()]
    ['digits', 'avmnist', 'handwritten', 'yeast']
    """
    return tuple(SOURCES.values())


def _check_variant(config: DataConfig, variants: tuple[str, ...]) -> None:
    """Raises if the data does not come in the difficulty asked for."""
    rule = f"be {' or '.join(variants)} for {config.data}"
    require(config.difficulty in variants, "difficulty", rule, config.difficulty)
