"""`aecf-jax predict RUN --data F --out P`: predictions for new rows, with the weights behind them, block by block."""

from pathlib import Path
from typing import Any

from aecf_jax.cli._columns import opened_output, prediction_columns, require_output
from aecf_jax.cli._files import existing_run
from aecf_jax.cli._progress import row_progress
from aecf_jax.cli._run import best_model, read_config, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console
from aecf_jax.data import stream_features
from aecf_jax.deploy import Predictor, is_bundle, run_calibration

_BATCH = 1024  # One size for every block, so that a row's prediction does not depend on how many rows there are.


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after writing the predictions.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the run has no checkpoint, the rows do not fit it, or the output file exists.
    """
    use_compile_cache(flags.compile_cache)
    require_output(flags.out, replace=flags.force)
    predictor, source = _predictor(flags.run)
    config = predictor.config
    stream = stream_features(flags.data, config.modalities, config.widths, nan_as_missing=flags.nan_as_missing)
    with opened_output(flags.out, stream.rows, config) as write, row_progress(stream.rows) as advance:
        for block in stream.blocks:
            write(prediction_columns(predictor(block.features, block.present), config))
            advance(len(block))
    make_console().print(f"{flags.out}: predictions for {stream.rows} rows, from {source}")
    return 0


def _predictor(folder: Path) -> tuple[Predictor, str]:
    """Returns what predicts, from a bundle or a run, and what it is from, in words."""
    if is_bundle(folder):
        return Predictor.from_bundle(folder, batch_sizes=[_BATCH]), f"the bundle {folder}"
    model, step = best_model(existing_run(folder), read_config(folder))
    predictor = Predictor.from_model(model, run_calibration(folder), batch_sizes=[_BATCH])
    return predictor, f"the checkpoint of step {step}"
