"""`aecf-jax predict RUN --data F --out P`: predictions for new rows, with the weights behind them, block by block."""

from collections.abc import Callable
from typing import Any

import numpy as np

from aecf_jax.calibrate import saved_calibration, saved_sets
from aecf_jax.cli._columns import opened_output, prediction_columns, require_output
from aecf_jax.cli._files import existing_run
from aecf_jax.cli._progress import row_progress
from aecf_jax.cli._run import best_model, read_config, use_compile_cache
from aecf_jax.cli._saved import described
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console
from aecf_jax.data import Dataset, stream_features
from aecf_jax.deploy import Predictor, is_bundle
from aecf_jax.errors import require
from aecf_jax.evaluate import predict

_BATCH = 1024  # One size for every block, so that a row's prediction does not depend on how many rows there are.

_Sets = Callable[[Dataset, int], dict[str, np.ndarray]]
"""(a block of rows, how many came before) -> columns."""


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after writing the predictions.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the run has no checkpoint, the rows do not fit it, or the output file exists.
    """
    use_compile_cache(flags.compile_cache)
    require_output(flags.out, replace=flags.force)
    predictor, sets, source = _bundle(flags) if is_bundle(flags.run) else _run_models(flags)
    config = predictor.config
    stream = stream_features(flags.data, config.modalities, config.widths, nan_as_missing=flags.nan_as_missing)
    written = 0
    with opened_output(flags.out, stream.rows, config) as write, row_progress(stream.rows) as advance:
        for block in stream.blocks:
            columns = prediction_columns(predictor(block.features, block.present), config)
            write(columns | sets(block, written))
            written += len(block)
            advance(len(block))
    make_console().print(f"{flags.out}: predictions for {stream.rows} rows, from {source}")
    return 0


def _bundle(flags: Any) -> tuple[Predictor, _Sets, str]:
    """Returns what predicts, from a bundle, no sets, and what it is from, in words."""
    require(flags.calibration and not flags.sets, "sets and no-calibration", "be left out",
            f"one of them with the bundle {flags.run}", "A bundle is as it was exported.")  # fmt: skip
    predictor = Predictor.from_bundle(flags.run, batch_sizes=[_BATCH])
    return predictor, lambda _block, _first: {}, f"the bundle {flags.run}"


def _run_models(flags: Any) -> tuple[Predictor, _Sets, str]:
    """Returns what predicts, from a run, its conformal sets, if wanted, and what they are from, in words."""
    folder = existing_run(flags.run)
    config = read_config(folder)
    model, step = best_model(folder, config)
    calibration = saved_calibration(folder, config, step) if flags.calibration else None
    conformal = saved_sets(folder, config, step) if flags.sets else None
    source = f"the checkpoint of step {step}" + (f". {described(calibration, folder)}" if calibration else "")

    def sets(block: Dataset, first: int) -> dict[str, np.ndarray]:
        if conformal is None:
            return {}
        # Sets are of the model's own logits, which a calibrated predictor does not give.
        logits = np.asarray(predict(model, block, batch_size=_BATCH).output)
        found = conformal(logits, block.select(config.modalities).present, first=first).astype(np.int32)
        return {"set": found} if found.ndim == 2 else {"may_be_0": found[..., 0], "may_be_1": found[..., 1]}

    return Predictor.from_model(model, calibration, batch_sizes=[_BATCH]), sets, source
