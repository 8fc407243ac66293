"""`aecf-jax data list`: the named sources."""

from typing import Any

from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, make_grid
from aecf_jax.data import describe_sources


def run(_flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after printing the table of sources.

    Args:
        _flags: there are none.
        _defaults: of verbs that have settings.
    """
    console = make_console()
    table = make_grid(show_lines=True)
    for heading in ("--data", "what", "rows", "labels", "modalities", "files below --root", "licence"):
        table.add_column(heading, justify="right" if heading == "rows" else "left", overflow="fold")
    for source in describe_sources():
        table.add_row(source.name, source.summary, str(source.rows), source.labels, ", ".join(source.modalities),
                      source.folder or "none needed", source.licence)  # fmt: skip
    console.print(table)
    console.print("Or the path of your own features: a .npz or .safetensors file, or a folder of .npy files.")
    return 0
