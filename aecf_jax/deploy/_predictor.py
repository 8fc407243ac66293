"""Serving: NumPy in, NumPy out, by a few compiled programs, from any number of threads."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float32

from aecf_jax.calibrate import Calibration, saved_calibration
from aecf_jax.config import AECFConfig
from aecf_jax.deploy._bundle import read_bundle
from aecf_jax.deploy._program import Program, loaded_program, named_arrays, output_name, serving_program
from aecf_jax.deploy._rows import PackedRows
from aecf_jax.errors import require
from aecf_jax.trainer import load_model

BATCH_SIZES = tuple(2**power for power in range(13))
"""Rows of the compiled programs: 1 to 4096. A batch is padded to the next of them, which at most doubles it."""

_CACHED = 4 << 20
"""Bytes of a layer's output for which the CPU has a cache (`docs/performance.md`)."""


class Prediction(NamedTuple):
    """What a model predicts for some rows, as NumPy arrays of their own.

    Attributes:
        output: probabilities of classes or labels, or values, `(rows, classes)`.
        weights: the gate's weights, 0 where a modality is absent, `(rows, modality)`.
        entropy: of the weights in nats, `(rows,)`.
    """

    output: Float32[np.ndarray, "rows classes"]
    weights: Float32[np.ndarray, "rows modality"]
    entropy: Float32[np.ndarray, "rows"]


class Predictor:
    """A model ready to be asked: checked input, padded batches, one compilation for each padded size.

    Safe to call from several threads at once: a call shares nothing with another but the compiled programs, and those
    are compiled once.

    Args:
        config: the model's.
        arrays: its parameters and constants by name.
        program: what is called with them, features and presence.
        batch_sizes: rows of the compiled programs; longer batches are cut into blocks of the largest. None: of
            `BATCH_SIZES` those for which, on a CPU, no layer's output is larger than its cache.

    >>> import numpy as np
    >>> from aecf_jax.model import AECF_CLIP
    >>> config = AECFConfig(modalities=("image", "text"), feat_dim=4, num_classes=3)
    >>> predictor = Predictor.from_model(AECF_CLIP(config))
    >>> predictor({"image": np.ones((2, 4))}).weights.tolist()  # the text is missing
    [[1.0, 0.0], [1.0, 0.0]]
    """

    def __init__(
        self, config: AECFConfig, arrays: Mapping[str, Any], program: Program, *,
        batch_sizes: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        sizes = sorted(set(_sizes(config) if batch_sizes is None else batch_sizes))
        require(len(sizes) > 0 and sizes[0] >= 1, "batch_sizes", "be positive numbers", sizes)
        self.config = config
        self.batch_sizes: tuple[int, ...] = tuple(sizes)
        self.output_name = output_name(config)
        self._rows = PackedRows(config.modalities, config.widths)
        self._arrays = jax.device_put(dict(arrays))
        self._program = jax.jit(_packed(program, self._rows, self.output_name))
        self._compiled: dict[int, Any] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_model(cls, model: Any, calibration: Calibration | None = None, **options: Any) -> "Predictor":
        """Returns a predictor of a model in memory.

        Args:
            model: anything with `config` and `variables`.
            calibration: of its logits.
            **options: `batch_sizes`.

        Raises:
            InputError: if the calibration is of another model's modalities.
        """
        program = serving_program(model.config, calibration)
        return cls(model.config, named_arrays(model.variables), program, **options)

    @classmethod
    def from_run(cls, run: str | Path, **options: Any) -> "Predictor":
        """Returns a predictor of a run's best checkpoint, calibrated if the run is.

        Args:
            run: the folder that training wrote.
            **options: `batch_sizes`.

        Raises:
            InputError: if it is no run's folder, or has no undamaged checkpoint.
        """
        folder = Path(run)
        hint = "A run's folder is made by `aecf-jax train`."
        require((folder / "config.json").is_file(), "run", "be the folder of a run", str(run), hint)
        config = AECFConfig.from_file(folder / "config.json")
        loaded = load_model(folder / config.checkpoint_dir)
        return cls.from_model(loaded.model, saved_calibration(folder, config, loaded.step), **options)

    @classmethod
    def from_bundle(cls, bundle: str | Path, **options: Any) -> "Predictor":
        """Returns a predictor of a bundle, which runs the very program that was exported.

        Args:
            bundle: the folder that `aecf-jax export` wrote.
            **options: `batch_sizes`.

        Raises:
            InputError: if it is no bundle, a file is missing or damaged, or this JAX cannot read its program.
        """
        found = read_bundle(bundle)
        program = loaded_program(found.program, str(bundle))
        return cls(found.config, found.arrays, program, **options)

    def __call__(
        self, features: Mapping[str, Any], present: Bool[np.ndarray, "rows modality"] | None = None
    ) -> Prediction:
        """Returns what is predicted for any number of rows.

        Args:
            features: arrays (rows, width) by modality name; one left out is missing in every row.
            present: True where a modality is there; None: everything given is. What stands elsewhere is never read.

        Raises:
            InputError: for an unknown modality, another width, unequal rows, a wrong shape of `present`, or a value
                that is present and not finite.
        """
        rows, arrays, there = self._rows.checked(features, present)
        if rows <= self.batch_sizes[-1]:
            return self._block(arrays, there, slice(0, rows))
        step = self.batch_sizes[-1]
        parts = [self._block(arrays, there, slice(start, min(start + step, rows))) for start in range(0, rows, step)]
        return Prediction(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def warm_up(self, batch_sizes: Sequence[int] | None = None) -> None:
        """Compiles ahead, so that no later call waits for it.

        Args:
            batch_sizes: numbers of rows to be ready for; None: any.
        """
        for rows in self.batch_sizes if batch_sizes is None else batch_sizes:
            self._compiled_for(self._padded_size(rows))

    @property
    def compilations(self) -> int:
        """How many programs were compiled so far."""
        return len(self._compiled)

    def _padded_size(self, rows: int) -> int:
        """Returns the rows of the program that serves so many."""
        return next((size for size in self.batch_sizes if size >= rows), self.batch_sizes[-1])

    def _block(self, arrays: dict[str, np.ndarray], present: np.ndarray, where: slice) -> Prediction:
        """Returns what is predicted for some rows, at most those of the largest program."""
        rows = where.stop - where.start
        size = self._padded_size(rows)
        values, there = self._rows.packed(arrays, present, where, size)
        compiled = self._compiled.get(size) or self._compiled_for(size)
        # Waited for first: of what is not ready, `np.asarray` waits twice.
        packed = np.asarray(compiled(self._arrays, values, there).block_until_ready())
        classes = packed.shape[1] - there.shape[1] - 1
        return Prediction(packed[:rows, :classes].copy(), packed[:rows, classes:-1].copy(), packed[:rows, -1].copy())

    def _compiled_for(self, size: int) -> Any:
        """Returns the program for a padded size, compiled once however many threads ask."""
        with self._lock:
            if size not in self._compiled:
                values = jax.ShapeDtypeStruct((size, self._rows.width), jnp.float32)
                there = jax.ShapeDtypeStruct((size, len(self.config.modalities)), jnp.bool_)
                self._compiled[size] = self._program.lower(self._arrays, values, there).compile()
            return self._compiled[size]


def _sizes(config: AECFConfig) -> list[int]:
    """Returns how many rows the programs have: on a CPU as many as the cache has room for, and at least one."""
    if jax.default_backend() != "cpu":
        return list(BATCH_SIZES)
    widest = max(sum(config.widths), len(config.modalities) * config.embed_width, *config.hidden_widths)
    return [rows for rows in BATCH_SIZES if rows == 1 or 4 * rows * widest <= _CACHED]


def _packed(program: Program, rows: PackedRows, output: str) -> Any:
    """Returns a program with one array of features and one of outputs: at one row, each transfer is what costs."""

    def run(
        arrays: dict[str, Array], values: Float32[Array, "batch width"], present: Bool[Array, "batch modality"]
    ) -> Float32[Array, "batch outputs"]:
        features = {name: values[:, first:last] for name, (first, last) in rows.columns.items()}
        out = program(arrays, features, present)
        return jnp.concatenate([out[output], out["weights"], out["entropy"][:, None]], axis=1)

    return run
