"""The same mathematics in PyTorch and here, by turns in one process: training, metrics, subsets, latency, start.

Command:   python experiments/benchmark_pytorch.py        (extra: torch; scikit-learn and the `aecf` wheel where there)
Hardware:  2 CPU cores, shared with other work; one thread for each library
Minutes:   6 of processor time; 11 with --compiled

Times are of the process's processor, medians of 7 turns or more; a ratio is the median over neighbouring turns, and
how many times as long PyTorch takes. PyTorch's side is torch_model.py: eager, with fused AdamW, with that and autocast
to bfloat16, and (--compiled) with the loss compiled. Before anything is timed, 20 steps from equal parameters without
dropout and masks must have losses that agree within 1e-4. docs/performance.md has the figures that it gave.
"""

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# One thread each: JAX makes as many as there are cores when it starts.
CORES = os.sched_getaffinity(0)
os.sched_setaffinity(0, {max(CORES)})

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch_parts  # noqa: E402
from torch_model import TorchTraining  # noqa: E402

from aecf_jax.bench import Times, TrainingSteps, median_ratio, product_probe, random_rows, take_turns  # noqa: E402
from aecf_jax.config import Workload  # noqa: E402
from aecf_jax.nn import init_variables  # noqa: E402

ROWS = 8192  # Of them that are held: a step reads as many wherever they lie.
AGREE = 1e-4
EAGER, FUSED, AUTOCAST = "PyTorch eager", "PyTorch, fused AdamW", "PyTorch, fused AdamW, autocast"
COMPILED = "PyTorch, fused AdamW, compiled"
FLOAT, HALF = "JAX float32", "JAX bfloat16"
Ways = Mapping[str, Callable[[], object]]


def main() -> None:
    """Prints the figures, and writes them unrounded where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="parts to run")
    parser.add_argument("--compiled", action="store_true", help="torch.compile as well, which takes minutes")
    parser.add_argument("--threads", type=int, default=1, help="of each library; with 2, read the wall-clock times")
    parser.add_argument("--synchronous", action="store_true", help="JAX computes in the thread that asks")
    parser.add_argument("--repeats", type=int, default=7, help="turns that count")
    parser.add_argument("--json", type=Path, help="file for the unrounded figures")
    args = parser.parse_args()
    jax.config.update("jax_cpu_enable_async_dispatch", not args.synchronous)
    started_with(args.threads)
    figures: dict[str, Any] = {}
    for part in args.only:
        figures[part] = PARTS[part](args)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1))


def started_with(threads: int) -> None:
    """Starts both libraries with so many threads, and then leaves it to the system where these run."""
    torch.set_num_threads(threads)
    if threads > 1:
        os.sched_setaffinity(0, CORES)
    jax.block_until_ready(jax.jit(lambda x: x @ x)(jnp.ones((512, 512))))
    torch.ones(512, 512) @ torch.ones(512, 512)
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), CORES)


def agreement(args: argparse.Namespace) -> dict[str, float]:
    """Prints the largest difference of the losses of 20 steps without dropout and masks, which is checked."""
    del args
    work = Workload(rows=ROWS)
    config, data = work.config(gate_dropout=0.0, curriculum_mask=False), random_rows(work)
    order = np.random.default_rng(1).integers(0, ROWS, (20, work.batch)).astype(np.int32)
    here = TrainingSteps(config, data, len(order), order)
    there = TorchTraining(config, here.variables["params"], data.features, data.label)
    losses = np.array([float(loss) for loss in there.steps(torch.tensor(order))])
    difference = float(np.abs(here() - losses).max())
    print(f"20 steps from equal parameters: losses differ by at most {difference:.1e}\n")
    if difference > AGREE:
        raise SystemExit(f"Not the same mathematics: more than {AGREE}.")
    return {"difference": difference}


def training(work: Workload, steps: int, title: str, args: argparse.Namespace, *, compiled: bool = False,
             **changes: Any) -> dict[str, Any]:  # fmt: skip
    """Prints what a step costs each way."""
    data = random_rows(work)
    order = np.random.default_rng(1).integers(0, work.rows, (steps, work.batch)).astype(np.int32)
    config, half = work.config(**changes), work.config(mixed_precision=True, **changes)
    params = init_variables(config, key=jax.random.key(0))["params"]
    options = {EAGER: (), FUSED: ("fused",), AUTOCAST: ("fused", "autocast")}
    options |= {COMPILED: ("fused", "compiled")} if compiled else {}
    index = torch.tensor(order)
    rivals = {name: TorchTraining(config, params, data.features, data.label, **dict.fromkeys(option, True))
              for name, option in options.items()}  # fmt: skip
    ways: dict[str, Callable[[], object]] = {name: (lambda rival=rival: float(rival.steps(index)[-1]))
                                             for name, rival in rivals.items()}  # fmt: skip
    ways |= {FLOAT: TrainingSteps(config, data, steps, order), HALF: TrainingSteps(half, data, steps, order)}
    times = take_turns(ways, repeats=args.repeats)
    print(f"{title}\n{'':34}{'ms a step':>10}{'rows/s':>9}{FLOAT:>15}{HALF:>15}")
    for name, taken in times.items():
        ms = statistics.median(clock(taken, args)) / steps * 1e3
        ratios = [median_ratio(clock(taken, args), clock(times[ours], args)) for ours in (FLOAT, HALF)]
        print(f"{name:34}{ms:10.2f}{work.batch / ms * 1e3:9,.0f}" + "".join(f"{ratio:15.2f}" for ratio in ratios))
    print(flush=True)
    return {name: [second / steps for second in clock(taken, args)] for name, taken in times.items()}


def clock(times: Times, args: argparse.Namespace) -> tuple[float, ...]:
    """Returns processor time, or with several threads the wall clock's."""
    return times.processor if args.threads == 1 else times.wall


def ceiling(args: argparse.Namespace) -> dict[str, Any]:
    """Prints the share of the fastest product of matrices that a step of 512 reaches, by turns with it."""
    work, steps = Workload(rows=ROWS), 16
    data = random_rows(work)
    order = np.random.default_rng(1).integers(0, ROWS, (steps, work.batch)).astype(np.int32)
    figures: dict[str, Any] = {}
    for dtype, torch_type in ((jnp.float32, torch.float32), (jnp.bfloat16, torch.bfloat16)):
        probe = product_probe(dtype)
        one, other = torch.ones(512, 1024, dtype=torch_type), torch.ones(1024, 2048, dtype=torch_type)
        way = TrainingSteps(work.config(mixed_precision=dtype == jnp.bfloat16), data, steps, order)
        product = functools.partial(lambda one, other: [one @ other for _ in range(5)], one, other)
        ways = {"JAX": probe.work, "PyTorch": product, "step": way}
        times = {name: clock(taken, args) for name, taken in take_turns(ways, repeats=args.repeats).items()}
        best = min(("JAX", "PyTorch"), key=lambda name: statistics.median(times[name]))
        # Forward and the gradients of the kernels: the features need none.
        operations = 2 * 2 * work.batch * (work.num_modalities * work.width * work.gate + work.width * work.labels)
        operations += 3 * 2 * work.batch * work.gate * work.num_modalities
        share = operations * steps / probe.size * median_ratio(times[best], times["step"])
        rates = {name: probe.size / statistics.median(times[name]) / 1e9 for name in ("JAX", "PyTorch")}
        print(f"products in {jnp.dtype(dtype).name}: JAX {rates['JAX']:.0f}, PyTorch {rates['PyTorch']:.0f} GFLOP/s; "
              f"a step of {operations / 1e9:.2f} GFLOP reaches {share:.0%} of the faster", flush=True)  # fmt: skip
        figures[jnp.dtype(dtype).name] = {**rates, "share": share}
    print()
    return figures


def compared(ways: Ways, title: str, args: argparse.Namespace, *, calls: int = 1) -> dict[str, float]:
    """Prints what some ways cost, and how many times as long the first takes."""
    times = {name: clock(taken, args) for name, taken in take_turns(ways, repeats=args.repeats).items()}
    print(title)
    first = next(iter(times))
    for name, seconds in times.items():
        ratio = median_ratio(times[first], seconds)
        print(f"  {name:34}{statistics.median(seconds) / calls * 1e3:10.3f} ms{ratio:8.2f}")
    print(flush=True)
    return {name: statistics.median(seconds) / calls for name, seconds in times.items()}


def metrics(args: argparse.Namespace) -> dict[str, Any]:
    """Prints what exact mean average precision costs."""
    ways, difference = torch_parts.metric_ways()
    title = f"mean average precision, 5,000 x 80; largest difference {difference:.0e}"
    return compared(ways, title, args) | {"difference": difference}


def pool(args: argparse.Namespace) -> dict[str, Any]:
    """Prints what the attention layer costs."""
    ways = torch_parts.pool_ways()
    names = list(ways)
    pairs = [{name: ways[name] for name in pair} for pair in (names[:2], names[2:])]
    return compared(pairs[0], "attention pool, 1,024 x 3 x 512, 8 heads", args) | compared(pairs[1], "", args)


def all_subsets(args: argparse.Namespace) -> dict[str, Any]:
    """Prints what predictions from all 63 subsets of 6 modalities cost."""
    ways, difference = torch_parts.subset_ways(1024, 2048)
    title = f"63 subsets of 6 modalities, 1,024 rows, gate 2048; largest difference of a probability {difference:.0e}"
    return compared(ways, title, args) | {"difference": difference}


def latency(args: argparse.Namespace) -> dict[str, Any]:
    """Prints what a call costs."""
    how = ", by the thread that asks" * args.synchronous
    return {
        str(batch): compared(torch_parts.latency_ways(Workload(), batch, calls, compiled=args.compiled),
                             f"prediction, batch {batch}{how}", args, calls=calls)
        for batch, calls in ((1, 200), (64, 50), (4096, 1))
    }  # fmt: skip


def serving(args: argparse.Namespace) -> dict[str, Any]:
    """Prints what a call costs in a process where JAX computes in the thread that asks."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [sys.executable, __file__, "--synchronous", "--only", "latency", "--json", str(figures)]
        command += ["--compiled"] * args.compiled + ["--threads", str(args.threads), "--repeats", str(args.repeats)]
        subprocess.run(command, check=True)
        return json.loads(figures.read_text())["latency"]


def start(args: argparse.Namespace) -> dict[str, Any]:
    """Prints what the first step of a new process takes, and an epoch of 60,000 rows."""
    del args
    figures: dict[str, Any] = {}
    for title, steps in (("first trained step", 1), ("117 steps of 512 rows", 117)):
        figures[title] = torch_parts.starts(steps)
        for name, (seconds, mebibytes) in figures[title].items():
            print(f"{title}, {name:22} {seconds:5.2f} s of processor time, at most {mebibytes:5.0f} MiB", flush=True)
    return figures


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "agreement": agreement,
    "batch512": lambda args: training(Workload(rows=ROWS), 16, "batch 512", args, compiled=args.compiled),
    "dry": lambda args: training(Workload(rows=ROWS), 16, "batch 512, without dropout and masks", args,
                                 compiled=args.compiled, gate_dropout=0.0, curriculum_mask=False),
    "batch32": lambda args: training(Workload(rows=ROWS, batch=32), 64, "batch 32", args),
    "batch4096": lambda args: training(Workload(rows=4 * ROWS, batch=4096), 8, "batch 4096", args),
    "gate256": lambda args: training(Workload(rows=ROWS, gate=256), 32, "batch 512, gate 256", args),
    "six": lambda args: training(Workload(rows=4096, num_modalities=6), 16, "batch 512, 6 modalities", args),
    "ceiling": ceiling, "metrics": metrics, "pool": pool, "subsets": all_subsets, "latency": latency,
    "serving": serving, "start": start,
}  # fmt: skip


if __name__ == "__main__":
    main()
