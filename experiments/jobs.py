"""What the large recipes share: methods searched and trained over seeds, measured on every subset and drop table.

A job is one method on one data set. Jobs run in processes of their own, one thread each; what a job found is a file,
so that an interrupted recipe goes on where it stopped.
"""

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import recipe

from aecf_jax import AECFConfig, DataConfig, load_splits
from aecf_jax.data import Dataset, Splits, make_drops
from aecf_jax.evaluate import Model, monotonicity, predict, subset_outputs
from aecf_jax.metrics import evaluate_many
from aecf_jax.sweep import train_many

SOURCES = {"avmnist": "hard", "handwritten": "plain", "yeast": "plain", "digits": "plain"}
RATES = tuple(rate / 10 for rate in range(9))
SEARCH_SEEDS = 2
SEARCH: tuple[Mapping[str, Any], ...] = (
    {"learning_rate": 3e-3, "weight_decay": 0.3, "encoder_dropout": 0.3},
    {"learning_rate": 1.5e-3, "weight_decay": 0.3, "encoder_dropout": 0.3},
    {"learning_rate": 6e-3, "weight_decay": 0.3, "encoder_dropout": 0.3},
    {"learning_rate": 3e-3, "weight_decay": 0.1, "encoder_dropout": 0.3},
    {"learning_rate": 3e-3, "weight_decay": 0.03, "encoder_dropout": 0.5},
    {"learning_rate": 3e-3, "weight_decay": 0.3, "encoder_dropout": 0.1},
)
"""Points that every method is tried at; the gate's learning rate is that of the rest."""


@dataclass(frozen=True)
class Job:
    """One method on one data set.

    Attributes:
        data: the source.
        name: of the method.
        config: its settings, without what the data decide.
        searched: whether its settings are chosen among `SEARCH`.
        seeds: how many networks are measured.
        only: modalities that it is trained and measured with; empty: all.
        blind: whether it is measured as one that cannot be told what is missing: hidden features are the training
            rows' mean, and everything is said to be present.
    """

    data: str
    name: str
    config: AECFConfig
    searched: bool = False
    seeds: int = 10
    only: tuple[str, ...] = ()
    blind: bool = False

    @property
    def key(self) -> str:
        """SHA-256 of everything that decides what it finds."""
        plain = {**dataclasses.asdict(self), "config": self.config.to_dict(), "rates": RATES, "search": SEARCH}
        return hashlib.sha256(json.dumps(plain, sort_keys=True, default=dict).encode()).hexdigest()


def flags(description: str, name: str) -> argparse.ArgumentParser:
    """Returns the flags that the recipes of jobs share.

    Args:
        description: the recipe's header.
        name: of the folder of what its jobs found.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=None, help="folder of the original files of all sources but digits")
    parser.add_argument("--data", nargs="*", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument("--seeds", type=int, default=10, help="networks of every method or variant")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--runs", type=Path, default=Path("runs") / name, help="folder of what jobs found")
    parser.add_argument("--json", type=Path, default=None, help="file for all figures, with the hashes")
    parser.add_argument("--markdown", type=Path, default=None, help="file for the tables")
    parser.add_argument("--plot", type=Path, default=None, help="PNG file for the picture")
    return parser


def found_by(jobs: Sequence[Job], *, root: str | None, folder: Path, workers: int) -> dict[tuple[str, str], Any]:
    """Returns what every job found, by data set and method; those whose files are there are not run again.

    Args:
        jobs: what is to be found.
        root: folder of the original files of all sources but digits.
        folder: where each job's file is kept.
        workers: processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    left = [job for job in jobs if not _path(folder, job).exists()]
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["OMP_NUM_THREADS"] = "1"
    start, context = time.monotonic(), multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running = {pool.submit(_run, job, root, folder): job for job in left}
        for done, future in enumerate(as_completed(running), 1):
            future.result()
            minutes = (time.monotonic() - start) / done * (len(left) - done) / 60
            job = running[future]
            print(f"{job.data}, {job.name}: done, {done} of {len(left)}, {minutes:.0f} minutes left", file=sys.stderr)
    return {(job.data, job.name): json.loads(_path(folder, job).read_text()) for job in jobs}


def splits_of(data: str, root: str | None) -> Splits:
    """Returns a source's rows as the recipes use them."""
    return load_splits(DataConfig(data=data, root=None if data == "digits" else root, difficulty=SOURCES[data]))


def drop_tables(rows: Dataset) -> dict[float, Any]:
    """Returns the drop table of every rate: MCAR, seed 0, no row left empty."""
    return {rate: make_drops(rows, "mcar", rate=rate) for rate in RATES}


def _path(folder: Path, job: Job) -> Path:
    """The file of what a job found."""
    return folder / f"{job.data}-{job.name.replace(' ', '_').replace('/', '_')}-{job.key[:12]}.json"


def _run(job: Job, root: str | None, folder: Path) -> None:
    """Searches, trains and measures, and writes what was found."""
    splits = splits_of(job.data, root)
    tables = drop_tables(splits.test)
    if job.only:
        splits = Splits(*(part.select(list(job.only)) for part in splits))
    config = recipe.configured(job.config, splits)
    chosen, first = _searched(config, splits) if job.searched else ({}, [])
    config = config.update(**chosen)
    more = [config.update(seed=seed) for seed in range(len(first), job.seeds)]
    runs = [*first[: job.seeds], *train_many(more, splits.train, splits.validation, how="sequence")]
    each = [measured(run.model, splits.test, None if job.only else tables, blind=job.blind) for run in runs]
    found = {
        "job": job.key,
        "chosen": dict(chosen),
        "config": config.update(seed=0).to_dict(),
        "drop_tables": {f"{rate:g}": table.hash for rate, table in tables.items()},
        "figures": [figures for figures, _ in each],
        "val_loss": [run.val_loss for run in runs],
        "row_nll": np.round(np.mean([nll for _, nll in each], axis=0), 5).tolist(),
    }
    recipe.write_text(_path(folder, job), json.dumps(found) + "\n")


def _searched(config: AECFConfig, splits: Splits) -> tuple[Mapping[str, Any], list[Any]]:
    """Returns the point with the lowest mean validation loss, and the runs with it."""
    points = [{**point, "gate_learning_rate": point["learning_rate"]} for point in SEARCH]
    configs = [config.update(**point, seed=seed) for point in points for seed in range(SEARCH_SEEDS)]
    runs = train_many(configs, splits.train, splits.validation, how="sequence")
    groups = [runs[at : at + SEARCH_SEEDS] for at in range(0, len(runs), SEARCH_SEEDS)]
    losses = [statistics.fmean(run.val_loss for run in group) for group in groups]
    best = losses.index(min(losses))
    return points[best], groups[best]


def measured(
    model: Model, rows: Dataset, tables: Mapping[float, Any] | None, *, blind: bool = False
) -> tuple[dict[str, float], np.ndarray]:
    """Returns all figures of a model, and each row's negative log-likelihood, mean over the drop tables.

    Args:
        model: trained.
        rows: what it is measured on.
        tables: drop table of every rate; None: figures of subsets alone.
        blind: as in `Job`; nested pairs are then left out.
    """
    chunks = list(subset_outputs(model, rows))
    seen = np.concatenate([chunk.seen for chunk in chunks])
    outputs = np.concatenate([chunk.output for chunk in chunks])
    outputs = (blind_outputs(model, rows, seen) if blind else outputs).astype(np.float64)
    task, score = model.config.task_type, "map" if rows.label_kind == "labels" else "accuracy"
    subsets = evaluate_many(outputs, rows.label, task)
    sizes = seen.sum(axis=1)
    found = {
        "score": float(subsets[score][-1]),
        "worst single": float(subsets[score][sizes == 1].min()),
        "NLL of subsets": float(subsets["nll"].mean()),
        "ECE of subsets": float(subsets["ece"].mean()),
    }
    if len(seen) > 1 and not blind:
        found["violating"] = monotonicity(model, rows, draws=2).nested.violating.value
    if tables is None:
        return found, row_nll(outputs[-1], rows.label)
    code = 2 ** np.arange(seen.shape[1])
    place = np.zeros(code.sum() + 1, np.int64)
    place[seen @ code] = np.arange(len(seen))
    shown = np.stack([
        outputs[place[table.apply(rows).present @ code], np.arange(len(rows))] for table in tables.values()
    ])  # fmt: skip
    metrics = evaluate_many(shown, rows.label, task)
    for label, name in (("score", score), ("NLL", "nll"), ("Brier", "brier"), ("ECE", "ece")):
        values = metrics[name]
        found |= {f"{label} at 0": float(values[0]), f"{label} at 0.5": float(values[5]),
                  f"{label} area": float(values.mean())}  # fmt: skip
    return found, np.mean([row_nll(one, rows.label) for one in shown], axis=0)


def blind_outputs(model: Model, rows: Dataset, seen: np.ndarray) -> np.ndarray:
    """Returns the predictions where what a subset hides is the training rows' mean, and counts as present.

    Args:
        model: trained.
        rows: what it predicts; nothing is missing.
        seen: of every subset, what it shows.
    """
    means = model.variables["constants"]["mean"]
    outputs: list[np.ndarray] = []
    for shown in seen:
        features = {
            name: rows.features[name] if there else np.broadcast_to(np.asarray(means[name]), rows.features[name].shape)
            for name, there in zip(model.config.modalities, shown, strict=True)
        }
        outputs.append(predict(model, dataclasses.replace(rows, features=features)).output)
    return np.stack(outputs)


def row_nll(logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Returns the negative log-likelihood of every row, for labels their mean."""
    if label.ndim == 2:
        return np.logaddexp(0.0, np.where(label > 0.5, -logits, logits)).mean(axis=1)
    top = logits.max(axis=1)
    return np.log(np.exp(logits - top[:, None]).sum(axis=1)) + top - logits[np.arange(len(label)), label]
