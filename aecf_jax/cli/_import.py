"""`aecf-jax import CHECKPOINT --out RUN`: a PyTorch checkpoint becomes a run, without PyTorch."""

from pathlib import Path
from typing import Any

from aecf_jax.cli._files import free_folder
from aecf_jax.cli._run import parameter_count, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console
from aecf_jax.interop import import_checkpoint, write_run


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after writing the run's folder and printing what was not taken over.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the file is refused, or the folder holds anything; then nothing is written.
    """
    use_compile_cache(flags.compile_cache)
    out, source = Path(flags.out), Path(flags.checkpoint)
    free_folder(out)
    imported = import_checkpoint(
        source, modalities=flags.modalities, multilabel=flags.multilabel, attention_heads=flags.attention_heads
    )
    write_run(imported, out, source)
    config = imported.model.config
    widths = ", ".join(f"{name} {width}" for name, width in zip(config.modalities, config.widths, strict=True))
    # Plain text: names from a file are no markup.
    say = make_console().out
    say(f"{source}: the {imported.generation} model, step {imported.step}", highlight=False)
    say(f"modalities  {widths}", highlight=False)
    say(f"model       {config.task_type}, {config.num_classes} outputs, {parameter_count(config):,} parameters",
        highlight=False)  # fmt: skip
    for note in imported.notes:
        say(f"not taken   {note}", highlight=False)
    say(f"run         {out}", highlight=False)
    return 0
