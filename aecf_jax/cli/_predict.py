"""`aecf-jax predict RUN --data F --out P`: predictions for new rows, with the weights behind them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from aecf_jax.cli._files import existing_run
from aecf_jax.cli._run import best_model, read_config, use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console
from aecf_jax.config import AECFConfig
from aecf_jax.data import load_features
from aecf_jax.errors import nearest, require
from aecf_jax.evaluate import predict
from aecf_jax.files import write_whole
from aecf_jax.types import FusionOutput


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after writing the predictions.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if the run has no checkpoint, the rows do not fit it, or the output file exists.
    """
    use_compile_cache(flags.compile_cache)
    out: Path = flags.out
    require(out.suffix in _FORMATS, "out", f"end in {', '.join(_FORMATS)}", str(out), nearest(out.suffix, _FORMATS))
    require(flags.force or not out.exists(), "out", "be a new file", str(out), "Pass --force to replace it.")
    require(out.parent.is_dir(), "out", "be in a folder that exists", str(out))
    folder = existing_run(flags.run)
    config = read_config(folder)
    rows = load_features(flags.data, config.modalities, config.widths, nan_as_missing=flags.nan_as_missing)
    model, step = best_model(folder, config)
    columns = prediction_columns(predict(model, rows), config)
    write_whole(out, _FORMATS[out.suffix](columns, config))
    make_console().print(f"{out}: predictions for {len(rows)} rows, from the checkpoint of step {step}")
    return 0


def prediction_columns(output: FusionOutput, config: AECFConfig) -> dict[str, np.ndarray]:
    """Returns what is written of a prediction, by name.

    Classes have `probabilities` and `prediction` (the most probable); labels have `probabilities` and `prediction`
    (1 where it is at least one half); values and embeddings have `values`. All have `weights` and `entropy`.

    Args:
        output: the model's, of all rows.
        config: the model's configuration.
    """
    logits = np.asarray(output.output, np.float64)
    gate = {"weights": np.asarray(output.weights), "entropy": np.asarray(output.entropy)}
    if config.task_type != "classification":
        return {"values": np.asarray(output.output), **gate}
    if config.multilabel:
        likely = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
        return {"probabilities": likely, "prediction": (likely >= 0.5).astype(np.int32), **gate}
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    likely = (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
    return {"probabilities": likely, "prediction": likely.argmax(axis=1).astype(np.int32), **gate}


def _npz(columns: dict[str, np.ndarray], config: AECFConfig) -> bytes:
    """Returns the arrays as a .npz file, with the names of the modalities."""
    buffer = io.BytesIO()
    np.savez(buffer, **columns, modalities=np.asarray(config.modalities))  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def _csv(columns: dict[str, np.ndarray], config: AECFConfig) -> str:
    """Returns a table with one line per row."""
    headings: list[str] = []
    for name, array in columns.items():
        parts = config.modalities if name == "weights" else range(array.shape[1]) if array.ndim == 2 else None
        headings += [name] if parts is None else [f"{_SINGULAR.get(name, name)}_{part}" for part in parts]
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["row", *headings])
    for index, cells in enumerate(zip(*columns.values(), strict=True)):
        table.writerow([index, *(number for cell in cells for number in _plain(np.atleast_1d(cell)))])
    return text.getvalue()


def _jsonl(columns: dict[str, np.ndarray], config: AECFConfig) -> str:
    """Returns one JSON object per row."""
    lines: list[str] = []
    for index, cells in enumerate(zip(*columns.values(), strict=True)):
        row: dict[str, Any] = {"row": index}
        for name, cell in zip(columns, cells, strict=True):
            row[name] = _plain(cell)
        row["weights"] = dict(zip(config.modalities, row["weights"], strict=True))
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def _plain(values: np.ndarray | np.generic) -> Any:
    """Returns numbers as Python's, float32 with the fewest digits that read back exactly."""
    if isinstance(values, np.ndarray):
        return [_plain(value) for value in values]
    return int(values) if values.dtype.kind in "iu" else float(str(values))


_FORMATS = {".csv": _csv, ".npz": _npz, ".jsonl": _jsonl}
_SINGULAR = {"probabilities": "probability", "values": "value", "weights": "weight"}
