"""`aecf-jax data list`: the named sources. `aecf-jax data convert SRC DST`: any source as a folder of `.npy` files."""

from pathlib import Path
from typing import Any

from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, make_grid
from aecf_jax.config import DataConfig
from aecf_jax.data import SOURCES, convert_data, describe_sources
from aecf_jax.errors import require


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after printing the table of sources, or writing the folder.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if source or folder are missing, or cannot be used.
    """
    return _convert(flags) if flags.action == "convert" else _list(flags)


def _convert(flags: Any) -> int:
    """Returns 0, after writing a source to a folder."""
    hint = "Type: aecf-jax data convert SRC DST"
    require(flags.source is not None, "SRC", "name a source, a file or a folder", "nothing", hint)
    require(flags.folder is not None, "DST", "name the new folder", "nothing", hint)
    config = DataConfig(
        data=flags.source, root=flags.root, label_kind=flags.label_kind, nan_as_missing=flags.nan_as_missing,
        split_seed=flags.split_seed,
    )  # fmt: skip
    known = flags.source in SOURCES or Path(flags.source).expanduser().exists()
    require(known, "SRC", f"be one of {', '.join(SOURCES)}, or a path that exists", flags.source)
    written = convert_data(config, flags.folder)
    rows = ", ".join(f"{part} {count}" for part, count in written.rows.items())
    widths = ", ".join(f"{name} {width}" for name, width in written.widths.items())
    make_console().print(f"{flags.folder}: {written.label_kind}; modalities {widths}; rows {rows}")
    return 0


def _list(flags: Any) -> int:
    """Returns 0, after printing the table of sources."""
    require(flags.source is None, "list", "stand alone", flags.source)
    console = make_console()
    table = make_grid(show_lines=True)
    for heading in ("--data", "what", "rows", "labels", "modalities", "files below --root", "licence"):
        table.add_column(heading, justify="right" if heading == "rows" else "left", overflow="fold")
    for source in describe_sources():
        table.add_row(source.name, source.summary, str(source.rows), source.labels, ", ".join(source.modalities),
                      source.folder or "none needed", source.licence)  # fmt: skip
    console.print(table)
    console.print("Or the path of your own features: a .npz, .safetensors or .pt file, or a folder of .npy files.")
    return 0
