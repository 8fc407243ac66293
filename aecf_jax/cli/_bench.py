"""`aecf-jax bench`: what training, prediction, evaluation, metrics and data cost on this machine."""

import dataclasses
import json
from typing import Any

from aecf_jax.bench import PARTS, Figure, machine, peak_memory
from aecf_jax.cli._run import use_compile_cache
from aecf_jax.cli._settings import Defaults
from aecf_jax.cli._tables import make_console, make_grid
from aecf_jax.config import Workload
from aecf_jax.errors import require
from aecf_jax.files import write_json

_QUICK = {"rows": 256, "width": 16, "labels": 4, "batch": 32, "gate": 32}


def run(flags: Any, _defaults: Defaults) -> int:
    """Returns 0, after measuring what was asked for and printing it.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: if a size is not positive.
    """
    require(flags.repeats >= 2, "repeats", "be at least 2, to have a median", flags.repeats)
    sizes = {field.name: getattr(flags, field.name) for field in dataclasses.fields(Workload)}
    work = Workload(**(sizes | _QUICK if flags.quick else sizes))
    use_compile_cache(flags.compile_cache)
    repeats = min(flags.repeats, 3) if flags.quick else flags.repeats
    figures = [figure for part in (PARTS if flags.what == "all" else (flags.what,))
               for figure in PARTS[part](work, repeats=repeats)]  # fmt: skip
    found = {"machine": machine(), "workload": dataclasses.asdict(work), "peak_bytes": peak_memory(),
             "figures": [_plain(figure) for figure in figures]}  # fmt: skip
    if flags.out is not None:
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(flags.out, found)
    if flags.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found, figures)
    return 0


def _plain(figure: Figure) -> dict[str, Any]:
    """Returns a figure as JSON holds it, with its rate."""
    cost = None if figure.cost is None else figure.cost._asdict()
    return dataclasses.asdict(figure) | {"rate": figure.rate, "cost": cost}


def _print(found: dict[str, Any], figures: list[Figure]) -> None:
    """Prints the machine, the table, what compiling costs, and how much memory was in use."""
    console = make_console()
    about, work = found["machine"], found["workload"]
    console.print(f"{about['device']} ({about['platform']}), {about['cores']} cores, jax {about['jax']}")
    console.print(", ".join(f"{name} {value:,}" for name, value in work.items()))
    grid = make_grid()
    for heading in ("", "ms", "quartiles", "processor", "rate", "GFLOP", "of best"):
        grid.add_column(heading, justify="left" if not heading else "right", no_wrap=bool(heading))
    for index, figure in enumerate(figures):
        low, high = (1e3 * value for value in figure.quartiles)
        done = "–" if figure.operations is None else f"{figure.operations / 1e9:.3g}"
        share = "–" if figure.share is None else f"{figure.share:.0%}"
        last = index + 1 == len(figures) or figures[index + 1].part != figure.part
        grid.add_row(f"{figure.part}: {figure.what}", f"{1e3 * figure.seconds:.2f}", f"{low:.2f} – {high:.2f}",
                     f"{1e3 * figure.processor:.2f}", f"{figure.rate:,.0f} {figure.unit}/s", done, share,
                     end_section=last)  # fmt: skip
    console.print(grid)
    for figure in figures:
        if figure.cost is not None:
            cost = figure.cost
            console.print(f"{figure.part}: {figure.what}: traced in {cost.traced:.2f} s, compiled in "
                          f"{cost.compiled:.2f} s, from the cache in {cost.from_cache:.2f} s")  # fmt: skip
    for dtype, rate in {figure.dtype: figure.ceiling for figure in figures if figure.ceiling}.items():
        console.print(f"best: products of matrices in {dtype} at {rate / 1e9:,.0f} GFLOP/s")
    again = sum(figure.recompiled for figure in figures)
    peak = found["peak_bytes"]
    device = "" if peak["device"] is None else f", {peak['device'] / 1e6:,.0f} MB on the device"
    console.print(f"programs compiled after the first turns: {again}")
    console.print(f"peak memory: {peak['process'] / 1e6:,.0f} MB{device}")
