"""The trainer that users call: data in, a trained model and its metrics out."""

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from aecf_jax.checkpoint import Checkpoints
from aecf_jax.config import AECFConfig, DeviceConfig, StreamConfig
from aecf_jax.data import Dataset, Part
from aecf_jax.errors import require
from aecf_jax.evaluate import predict
from aecf_jax.logs import JsonlWriter, MultiWriter, Writer, check_logger, make_writer
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.model import AECF_CLIP
from aecf_jax.train import make_mesh, placed, shards, tree_shardings
from aecf_jax.trainer._feed import Order, make_feed
from aecf_jax.trainer._inputs import as_dataset, fitted_constants, on_device, told_labels
from aecf_jax.trainer._keeper import Keeper
from aecf_jax.trainer._load import abstract_tree, checkpoint_tree, load_model, model_variables
from aecf_jax.trainer._memory import Memory
from aecf_jax.trainer._plan import Limits, Plan
from aecf_jax.trainer._processes import agreed_clock, is_first, last_words, several
from aecf_jax.trainer._progress import Bar, Silent
from aecf_jax.trainer._resume import data_facts, require_same_run
from aecf_jax.trainer._room import BLOCK_ROWS, longest_chunk, streams
from aecf_jax.trainer._run import Run, Stopped
from aecf_jax.trainer._signals import interrupts
from aecf_jax.trainer._start import started_from
from aecf_jax.trainer._validate import Validation

_LOST = (
    "The run in {folder} ended before its time, here or in another process. Start all of its processes "
    "again, each with --resume {folder}: it goes on from its last checkpoint."
)

HISTORY = "metrics.jsonl"
"""The file in a run's folder that every logged metric is in, whatever the logger."""


class AECFTrainer:
    """Trains a model, and keeps its best checkpoints and the last.

    The run's folder then has `checkpoints/`, `metrics.jsonl` with every logged metric, and the logger's files in
    `logs/`. Ctrl-C and SIGTERM save and end the training; `fit(..., resume=True)` goes on from there, bit for bit as
    if it had never stopped.

    Args:
        config: all settings.
        logger_type: none, csv, jsonl, tensorboard or wandb.
        logger_config: `name` and `version` of the run for the logger, as Lightning's loggers take them.
        run_dir: the run's folder.
        progress: whether to show a progress bar on the standard error.
        checkpoint_seconds: least time between writing checkpoints; 0 writes at every validation. What a kill takes
            from memory meanwhile, a resumed run computes again. At 10 seconds, writing 26 MB and the best before it
            took 3.5 % of a run on one core (docs/performance.md).
        devices: which devices to train on; several processes of a run call `join_processes` first.
        streaming: whether rows lie on the device or come to it chunk by chunk.

    Raises:
        InputError: for an unknown logger, or a value out of range in `trainer_kwargs`.

    Source: `AECFTrainer` of the PyTorch generation. Differs: "none" logs nowhere but to the run's own history; metrics
    are of the whole data set.
    """

    def __init__(
        self,
        config: AECFConfig,
        logger_type: str = "none",
        logger_config: Mapping[str, Any] | None = None,
        *,
        run_dir: str | Path = ".",
        progress: bool = False,
        checkpoint_seconds: float = 30.0,
        devices: DeviceConfig | None = None,
        streaming: StreamConfig | None = None,
    ) -> None:
        self._limits = Limits.of(config)
        epochs = self._limits.max_epochs
        self.config = config if epochs is None else config.update(epochs=epochs)
        self.run_dir = Path(run_dir)
        self._logger_type, self._logger_config = logger_type, dict(logger_config or {})
        self._progress = progress and self._limits.progress
        self._devices, self._streaming = devices or DeviceConfig(), streaming or StreamConfig()
        require(checkpoint_seconds >= 0, "checkpoint_seconds", "be at least 0", checkpoint_seconds)
        self._checkpoint_seconds = checkpoint_seconds
        self._model: AECF_CLIP | None = None
        check_logger(logger_type, self._logger_config)

    @property
    def model(self) -> AECF_CLIP:
        """The trained model: the best checkpoint's, or the last one's, where there was no validation.

        Raises:
            InputError: if nothing was trained and the run's folder has no checkpoint.
        """
        if self._model is None:
            mesh = make_mesh(self._devices.axes)
            self._model = load_model(self.run_dir / self.config.checkpoint_dir, mesh=mesh).model
        return self._model

    def fit(
        self, train: Any, val: Any = None, *, resume: bool = False, start: AECF_CLIP | None = None
    ) -> dict[str, Any]:
        """Returns how the training ended; the model is in `model`.

        Args:
            train: a `Dataset`, a dictionary of arrays (one per modality, `label`, optionally `present`), or an
                iterable of such dictionaries, for example a PyTorch DataLoader, which is read once.
            val: the same, for choosing the best checkpoint and for stopping early; None: neither.
            resume: go on from the last checkpoint in the run's folder; if there is none, start with a warning.
            start: a model of the same structure, whose parameters, mean and scale training starts from; None: new
                ones. The prior is always that of the training rows.

        Returns:
            `best_model_path` and `best_model_score` (the validation loss; None without validation), `current_epoch`
            (epochs completed), `global_step`, `logged_metrics` (the last), `stopped` ("completed", "early" or
            "signal") and `signal` (its number, or None).

        Raises:
            InputError: if the data do not fit the configuration; if the folder holds checkpoints and this is not to
                resume, or it is and settings or data differ; if something cannot be written.
            NonFiniteLossError: if the loss becomes infinite or NaN.
            LostProcessError: if another process of the run ended.
        """
        rows = as_dataset(train, self.config, "train")
        self.config = told_labels(self.config, rows)
        checks = self._validation_rows(val)
        checkpoints = Checkpoints(self.run_dir / self.config.checkpoint_dir, keep_best=self.config.keep_checkpoints)
        with contextlib.ExitStack() as stack:
            stack.enter_context(last_words(_LOST.format(folder=self.run_dir)))
            stack.callback(checkpoints.drop)
            noted = stack.enter_context(interrupts())
            run = self._start(rows, checks, checkpoints, resume=resume, start=start)
            stack.callback(run.feed.close)
            writer = self._writer(run.step)
            stack.callback(writer.close)
            progress = stack.enter_context(self._bar(run))
            stopped = run.train(writer, progress, noted)
            run.keeper.write_held()
            checkpoints.close()
        return self._results(run, checkpoints, stopped, noted.signal)

    def validate(self, data: Any) -> dict[str, float]:
        """Returns the metrics of the model on all rows, with everything present; names begin with `val_`.

        Args:
            data: as `fit` takes it.
        """
        return self._evaluated(data, "validation", "val_")

    def test(self, data: Any) -> dict[str, float]:
        """Returns the metrics of the model on all rows, with everything present; names begin with `test_`.

        Args:
            data: as `fit` takes it.
        """
        return self._evaluated(data, "test", "test_")

    def _evaluated(self, data: Any, part: Part, prefix: str) -> dict[str, float]:
        """Returns the metrics of the model on some rows."""
        dataset, model = as_dataset(data, self.config, part), self.model
        result: Any = predict(model, dataset)
        metrics = evaluate_predictions(
            result.output, dataset.label, self.config.task_type, weights=result.weights, entropy=result.entropy,
            present=dataset.present,
        )  # fmt: skip
        return {f"{prefix}{name}": value for name, value in metrics.items()}

    def _validation_rows(self, val: Any) -> Dataset | None:
        """Returns the validation rows that are used, if any."""
        if val is None:
            return None
        dataset = as_dataset(val, self.config, "validation")
        rows = self._limits.validation_rows(len(dataset), self.config.batch_size)
        return dataset.take(slice(0, rows)) if rows else None

    def _start(
        self, train: Dataset, val: Dataset | None, checkpoints: Checkpoints, *, resume: bool, start: AECF_CLIP | None
    ) -> Run:
        """Returns a run at its first step, or where its last checkpoint left it."""
        config, found = self.config, checkpoints.steps()
        hint = "Resume that run, or choose another folder."
        require(resume or not found, "run_dir", "hold no checkpoints of another run", str(self.run_dir), hint)
        if resume and not found:
            warnings.warn(f"There is no checkpoint in {checkpoints.directory}: training starts anew.", stacklevel=3)
        mesh, meta = make_mesh(self._devices.axes), checkpoints.read_meta()
        streamed = several() or streams(self._streaming, [train] if val is None else [train, val])
        shuffled = self._shuffled(train, meta)
        block, longest = (shuffled["rows"], shuffled["steps"]) if shuffled else (None, None)
        plan = Plan.of(config, len(train), self._limits, longest)
        parts = shards(mesh)
        require(plan.batch_size % parts == 0, "batch_size", f"be a multiple of {parts}, the devices along data",
                plan.batch_size)  # fmt: skip
        data = None if streamed else on_device(train, mesh)
        facts = data_facts(train, val, plan.steps_per_epoch, shuffled)
        if meta is not None:
            require_same_run(meta, config, facts)
        restored = checkpoints.restore_latest(abstract_tree(config, mesh), delete_damaged=True)
        if restored is None:
            tree, memory = self._new_tree(train, mesh, start), Memory()
        else:
            tree, memory = restored.state, Memory.of(restored.meta["memory"])
        validation = None if val is None else Validation(val, config, streamed=streamed, mesh=mesh)
        keeper = Keeper(checkpoints, config.keep_checkpoints, self._checkpoint_seconds, agreed_clock())
        feed = make_feed(train, data, Order(config.seed, len(train), plan, block), config, mesh)
        return Run(config, plan, feed, validation, tree, keeper, memory, facts)

    def _shuffled(self, train: Dataset, meta: Mapping[str, Any] | None) -> dict[str, int] | None:
        """Returns how rows are shuffled that are read from disk, if they are: as the run began, wherever it goes on."""
        if meta is not None:
            return meta["data"].get("order")
        if not streams(self._streaming, [train]):
            return None
        return {"rows": BLOCK_ROWS, "steps": longest_chunk(train, min(self.config.batch_size, len(train)))}

    def _new_tree(self, train: Dataset, mesh: Mesh | None, start: AECF_CLIP | None) -> dict[str, Any]:
        """Returns what a new run starts with."""
        tree = checkpoint_tree(self.config, mesh)
        tree["constants"] = fitted_constants(model_variables(tree), self.config, train)["constants"]
        tree = tree if start is None else started_from(start, tree, self.config)
        return tree if mesh is None else placed(tree, tree_shardings(tree, mesh))

    def _writer(self, step: int) -> Writer:
        """Returns what metrics are logged to: of several processes, by the first alone."""
        if not is_first():
            return MultiWriter([])
        history = JsonlWriter(self.run_dir / HISTORY, last_step=step)
        folder = self.run_dir / self.config.log_dir
        return MultiWriter([history, make_writer(self._logger_type, folder, self._logger_config, last_step=step)])

    def _bar(self, run: Run) -> Silent:
        """Returns what shows the progress."""
        return (
            Bar(run.plan.total_steps, run.plan.steps_per_epoch, run.step) if self._progress and is_first() else Silent()
        )

    def _results(self, run: Run, checkpoints: Checkpoints, stopped: Stopped, signal: int | None) -> dict[str, Any]:
        """Returns how the training ended, and makes the best checkpoint's variables those of the model."""
        best = checkpoints.restore_best(run.tree)
        variables = run.variables if best is None else model_variables(best.state)
        self._model = AECF_CLIP(self.config, variables=variables)
        return {
            "best_model_path": str(checkpoints.path(run.step if best is None else best.step)),
            "best_model_score": None if best is None else best.meta["metrics"]["val_loss"],
            "current_epoch": run.step // run.plan.steps_per_epoch,
            "global_step": run.step,
            "logged_metrics": dict(run.memory.logged),
            "stopped": stopped,
            "signal": signal if stopped == "signal" else None,
        }
