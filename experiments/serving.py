"""What serving costs: latency and rows per second against the model's plain `apply`, and the memory of `predict`.

Command:   python experiments/serving.py
Hardware:  2 CPU cores
Minutes:   4 of processor time

The model is the default one on four modalities of 16 values, as `aecf-jax train` makes it. "Plain" is its `apply` under
`jax.jit` with NumPy arrays in and NumPy arrays out. The two take turns, and what is compared is processor time: medians
over the turns, and the range of their ratio in the middle half of the turns. Blocks are 4,096 rows of models with wider
layers, cut as `Predictor` cuts them by itself, against all of them at once. By its own thread is one row in processes
that take turns, with `jax_cpu_enable_async_dispatch` off and on.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from aecf_jax import AECF, AECF_CLIP, AECFConfig
from aecf_jax.config import Workload
from aecf_jax.deploy import Predictor, write_bundle

CONFIG = AECFConfig(modalities=("top_left", "top_right", "bottom_left", "bottom_right"), feat_dim=16, num_classes=10,
                    multilabel=False)  # fmt: skip
WIDE = {
    "a gate of 2,048 units": Workload().config(),
    "a gate of 256 units": Workload(gate=256).config(),
    "the default with features of 512": AECFConfig(modalities=("image", "text"), num_classes=80, multilabel=True),
}
TURNS = 40
_ONE_ROW = """
import sys
import jax
jax.config.update("jax_cpu_enable_async_dispatch", sys.argv[1] == "on")
import numpy as np
import serving
config = serving.CONFIG if sys.argv[2] == "narrow" else next(iter(serving.WIDE.values()))
predictor = serving.Predictor.from_model(serving.AECF_CLIP(config))
features = {name: np.ones((1, width), np.float32) for name, width in zip(config.modalities, config.widths, strict=True)}
print(min(serving.seconds_of(lambda: predictor(features), 500) for _ in range(8)))
"""
_PREDICT = """
import sys
from aecf_jax.cli import main
from aecf_jax.ops import peak_bytes
code = main(["predict", *sys.argv[1:]])
print(peak_bytes() / 1e9)
sys.exit(code)
"""


def main() -> None:
    """Prints the figures, and writes them unrounded where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the memory test; 0: none")
    parser.add_argument("--json", type=Path, help="file for the unrounded figures")
    args = parser.parse_args()
    model = AECF_CLIP(CONFIG)
    figures = {}
    for batch, calls in ((1, 500), (64, 300), (4096, 8)):
        figures |= {f"{what}, batch {batch}": value for what, value in compared(model, batch, calls).items()}
    for title, config in WIDE.items():
        figures |= {f"{what}, {title}": value for what, value in blocks(config, 4096).items()}
    for title in ("narrow", "wide"):
        figures[f"one row by the caller's thread / by JAX's, {title}"] = by_own_thread(title)
    if args.rows:
        figures |= memory(model, args.rows)
    for name, value in figures.items():
        print(f"  {name:58} {value:12.4g}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


def compared(model: AECF_CLIP, batch: int, calls: int) -> dict[str, float]:
    """Returns what one call costs both ways, and the ratio.

    Args:
        model: to be asked.
        batch: rows of a call.
        calls: of a turn.
    """
    rng = np.random.default_rng(0)
    features = {name: rng.normal(size=(batch, 16)).astype(np.float32) for name in CONFIG.modalities}
    present = rng.random((batch, 4)) < 0.8
    apply = jax.jit(AECF(CONFIG).apply)
    predictor = Predictor.from_model(model)

    def plain() -> object:
        out = apply(model.variables, features, present)
        return jax.device_get(jax.block_until_ready((out.output, out.weights, out.entropy)))

    one, other = turns({"plain": plain, "predictor": lambda: predictor(features, present)}, calls)
    ratio = other / one
    return {
        "microseconds of plain apply": float(np.median(one)) * 1e6,
        "microseconds of Predictor": float(np.median(other)) * 1e6,
        "Predictor / plain": float(np.median(ratio)),
        "Predictor / plain, lower quartile": float(np.quantile(ratio, 0.25)),
        "Predictor / plain, upper quartile": float(np.quantile(ratio, 0.75)),
        "rows per second of Predictor": batch / float(np.median(other)),
    }


def blocks(config: AECFConfig, rows: int) -> dict[str, float]:
    """Returns how many rows `Predictor` asks for at once, and what that is worth against all of them.

    Args:
        config: of the model.
        rows: of a call.
    """
    rng, model = np.random.default_rng(0), AECF_CLIP(config)
    features = {
        name: rng.normal(size=(rows, width)).astype(np.float32)
        for name, width in zip(config.modalities, config.widths, strict=True)
    }
    cut, whole = Predictor.from_model(model), Predictor.from_model(model, batch_sizes=[rows])
    one, other = turns({"whole": lambda: whole(features), "cut": lambda: cut(features)}, 1)
    return {
        "rows of a block": cut.batch_sizes[-1],
        "milliseconds in blocks": float(np.median(other)) * 1e3,
        "blocks / whole": float(np.median(other / one)),
    }


def by_own_thread(model: str, times: int = 5) -> float:
    """Returns how many times as long one row takes where the thread that asks computes it, as the median of turns.

    Args:
        model: narrow, or wide.
        times: processes of each kind.
    """
    taken: dict[str, list[float]] = {"off": [], "on": []}
    for dispatch in [*taken] * times:
        command = [sys.executable, "-c", _ONE_ROW, dispatch, model]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
        taken[dispatch].append(float(done.stdout.split()[-1]))
    return float(np.median(np.divide(taken["off"], taken["on"])))


def turns(ways: dict[str, Callable[[], object]], calls: int) -> list[np.ndarray]:
    """Returns the processor time of a call each way, turn by turn, without the first.

    Args:
        ways: what is timed.
        calls: of a turn.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name in [*ways] * (TURNS + 1):
        times[name].append(seconds_of(ways[name], calls))
    return [np.asarray(taken[1:]) for taken in times.values()]


def seconds_of(call: Callable[[], object], times: int) -> float:
    """Returns the processor time of one call.

    Args:
        call: what is timed.
        times: how often it is called.
    """
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def memory(model: AECF_CLIP, rows: int) -> dict[str, float]:
    """Returns the peak of resident memory of `aecf-jax predict`, in a process of its own, from memory-mapped files.

    Args:
        model: whose bundle predicts.
        rows: how many.
    """
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_bundle(model.config, model.variables, folder / "bundle")
        (folder / "rows").mkdir()
        for modality in CONFIG.modalities:
            array = np.lib.format.open_memmap(folder / "rows" / f"{modality}.npy", "w+", np.float32, (rows, 16))
            array[:] = 1.0
            del array
        figures["GB of features"] = sum(path.stat().st_size for path in (folder / "rows").iterdir()) / 1e9
        for out in ("out", "out.npz", "out.csv"):
            command = [sys.executable, "-c", _PREDICT, folder / "bundle", "--data", folder / "rows"]
            start = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run([*command, "--out", folder / out], capture_output=True, text=True, check=True)
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            kind = out.removeprefix("out") or "folder"
            figures[f"GB of resident memory at the peak, {kind}"] = float(done.stdout.split()[-1])
            figures[f"seconds of processor time, {kind}"] = (
                end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime
            )
    return figures


if __name__ == "__main__":
    main()
