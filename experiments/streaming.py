"""Training on features larger than memory: how much memory it takes, how fast it is, and how well rows are mixed.

Command:   python experiments/streaming.py
Hardware:  2 CPU cores, 6 GB of disk below --folder
Minutes:   6

A feature set of two modalities of 512 values and 80 classes is written to disk. In one process, which never holds it,
a run that streams takes turns with one whose rows, a small part of the same files, lie in memory: the same model (a
gate of 2,048 units, batches of 512), the same number of steps in each turn, by the public trainer's own loop; what is
compared is the wall time of a turn, medians over the turns. Then the same set is trained from end to end by
`aecf-jax train` in a process of its own, which sees every row at least once.

Memory is the largest resident set of a process as the kernel counts it (`VmHWM`): private memory, and every page of a
mapped file that is in the process's page table. Beside it stands the private part alone at its largest, sampled every
50 ms. What the kernel's cache keeps of files that were read belongs to no process, is given up when memory is short,
and is not counted.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aecf_jax import AECFConfig, Dataset
from aecf_jax.data import chunk_rows
from aecf_jax.trainer._feed import Order, make_feed
from aecf_jax.trainer._inputs import fitted_constants, on_device
from aecf_jax.trainer._load import checkpoint_tree, model_variables
from aecf_jax.trainer._plan import Limits, Plan
from aecf_jax.trainer._room import BLOCK_ROWS, longest_chunk

WIDTH, CLASSES, BATCH = 512, 80, 512
NAMES = ("image", "text")
CONFIG = AECFConfig(
    modalities=NAMES, feat_dim=WIDTH, num_classes=CLASSES, multilabel=False, fusion="gated", encoder="identity",
    embed_dim=0, gate_hidden_dims=(2048,), head_hidden_dims=None, batch_size=BATCH, epochs=1,
)  # fmt: skip
RESIDENT_ROWS = 60_000
_ROWS_AT_ONCE = 1 << 15


def write_features(folder: Path, rows: int) -> None:
    """Writes noise around the centre of each row's class, as `aecf-jax data convert` would."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, CLASSES, rows).astype(np.int32)
    centres = rng.normal(size=(CLASSES, WIDTH)).astype(np.float32)
    for name in NAMES:
        file = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (rows, WIDTH))
        for start in range(0, rows, _ROWS_AT_ONCE):
            some = label[start : start + _ROWS_AT_ONCE]
            file[start : start + len(some)] = 0.3 * centres[some] + rng.standard_normal((len(some), WIDTH), np.float32)
            file.flush()
        del file
    np.save(folder / "label.npy", label)
    np.save(folder / "split.npy", np.repeat([0, 1, 2], [rows - 8192, 4096, 4096]).astype(np.int32))


def training_rows(folder: Path, rows: int | None = None) -> Dataset:
    """Returns the training part: all of it, mapped, or its first rows, in memory."""
    label = np.load(folder / "label.npy")[:-8192][:rows]
    files = {name: np.load(folder / f"{name}.npy", mmap_mode="r")[: len(label)] for name in NAMES}
    features = files if rows is None else {name: np.array(file) for name, file in files.items()}
    return Dataset(features, label, np.ones((len(label), len(NAMES)), bool), part="train", num_classes=CLASSES)


class Memory:
    """The largest private memory of a process while it is open."""

    def __init__(self) -> None:
        self.private = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.private = max(self.private, gigabytes("RssAnon"))

    def peak(self) -> tuple[float, float]:
        """Returns GB of resident memory at the peak, and of private memory."""
        self._over.set()
        self._thread.join()
        return gigabytes("VmHWM"), self.private


def gigabytes(name: str) -> float:
    """Returns one of the kernel's figures of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e9


def turn(dataset: Dataset, *, streamed: bool, longest: int, rows: Any = None) -> Any:
    """Returns what takes some steps, and gives back the seconds that they took."""
    plan = Plan.of(CONFIG, len(dataset), Limits(), longest)
    order = Order(0, len(dataset), plan, BLOCK_ROWS if streamed else None)
    feed = make_feed(dataset, None if streamed else on_device(dataset), order, CONFIG, None)
    tree = checkpoint_tree(CONFIG)
    tree["constants"] = rows or fitted_constants(model_variables(tree), CONFIG, dataset)["constants"]
    step = 0

    def steps(chunks: int) -> float:
        nonlocal step
        start = time.perf_counter()
        done = 0
        for _ in range(chunks):
            if step % plan.total_steps == 0:
                step = 0
            length = plan.chunk_length(step)
            tree["state"], info = feed.advance(tree, step, length)
            jax.device_get(info)
            step += length
            done += length
        return (time.perf_counter() - start) / done

    return steps


def rates(folder: Path, turns: int) -> dict[str, float]:
    """Returns rows per second both ways, and their ratio."""
    whole, few = training_rows(folder), training_rows(folder, RESIDENT_ROWS)
    longest = longest_chunk(whole, BATCH)
    ways = {"in memory": turn(few, streamed=False, longest=longest), "streamed": turn(whole, streamed=True,
            longest=longest)}  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name in [*ways] * (turns + 1):
        times[name].append(ways[name](2))
    one, other = (np.array(times[name][1:]) for name in ways)
    return {
        "rows per second, in memory": BATCH / float(np.median(one)),
        "rows per second, streamed": BATCH / float(np.median(other)),
        "streamed / in memory": float(np.median(one / other)),
        "streamed / in memory, lower quartile": float(np.quantile(one / other, 0.25)),
        "streamed / in memory, upper quartile": float(np.quantile(one / other, 0.75)),
    }


def trained(folder: Path, limit: float) -> dict[str, float]:
    """Trains one epoch from end to end; meant for a process of its own."""
    from aecf_jax.cli import main as command

    memory, start = Memory(), time.perf_counter()
    arguments = ["train", "--data", str(folder), "--out", str(folder.parent / "run"), "--memory", str(limit)]
    arguments += ["--label-kind", "classes", "--fusion", "gated", "--encoder", "identity", "--embed-dim", "0"]
    arguments += ["--gate-hidden-dims", "2048", "--head-hidden-dims", "None", "--batch-size", str(BATCH)]
    code = command([*arguments, "--epochs", "1", "--logger", "none", "--no-plots"])
    peak, private = memory.peak()
    return {"exit code": code, "seconds of `aecf-jax train`, one epoch": time.perf_counter() - start,
            "GB of resident memory at the peak": peak, "GB of private memory at the peak": private}  # fmt: skip


def mixing(rows: int = 1_000_000, chunk_steps: int = 64, draws: int = 200) -> dict[str, float]:
    """Returns how far batches are from those of a permutation of all rows, in a file that is sorted by class."""
    label = np.arange(rows) * CLASSES // rows
    chunk = chunk_steps * BATCH
    spread: list[float] = []
    adjacent: list[float] = []
    for epoch in range(draws):
        order = chunk_rows(0, epoch, slice(0, chunk), rows=rows, block=BLOCK_ROWS)
        batch = order[:BATCH]
        counts = np.bincount(label[batch], minlength=CLASSES)
        spread.append(float(np.mean((counts - BATCH / CLASSES) ** 2) / (BATCH / CLASSES * (1 - 1 / CLASSES))))
        adjacent.append(float(np.isin(batch + 1, batch).mean()))
    return {
        "variance of a class's share of a batch, to that of uniform batches": float(np.mean(spread)),
        "by the formula": 1 + (BATCH - 1) * (BLOCK_ROWS - 1) / (chunk - 1),
        "rows of a batch whose successor in the file is in it": float(np.mean(adjacent)),
        "of uniform batches": (BATCH - 1) / rows,
    }


def main() -> None:
    """Prints the figures, and writes them unrounded where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=6.0, help="size of the feature set")
    parser.add_argument("--turns", type=int, default=7, help="turns of each way")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where it is written")
    parser.add_argument("--json", type=Path, help="file for the unrounded figures")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(trained(args.child, limit=1.0)))
        return
    figures = mixing()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name) / "features"
        folder.mkdir()
        write_features(folder, int(args.gigabytes * 1e9 / (len(NAMES) * WIDTH * 4)))
        figures["GB of features"] = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
        figures |= rates(folder, args.turns)
        done = subprocess.run([sys.executable, __file__, "--child", str(folder)], stdout=subprocess.PIPE, text=True,
                              check=True)  # fmt: skip
        print(done.stdout)
        figures |= json.loads(done.stdout.splitlines()[-1])
        shutil.rmtree(folder)
    for title, value in figures.items():
        print(f"  {title:72} {value:10.4g}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
