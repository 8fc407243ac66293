"""How ways to do something are measured together: what they take, and what share of the machine's best that is."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from aecf_jax.bench._ceiling import product_probe
from aecf_jax.bench._clock import take_turns
from aecf_jax.bench._programs import CompileCost, counted_programs

_LARGE = 8
"""By how much larger the sides of the products are that show an accelerator's best."""


class Way(NamedTuple):
    """Something to be measured.

    Attributes:
        work: does it, and ends when it is done.
        amount: of what it does in a turn.
        unit: of the amount.
        operations: floating-point operations of a turn; None: not counted.
        dtype: that products of matrices are computed in.
        cost: of its program before it runs; None: not measured.
    """

    work: Callable[[], object]
    amount: float
    unit: str = "rows"
    operations: float | None = None
    dtype: DTypeLike = jnp.float32
    cost: CompileCost | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What one way took.

    Attributes:
        part: what it belongs to: train, infer, evaluate, metrics or data.
        what: its name.
        unit: of what is done.
        amount: of that in a turn.
        seconds: of a turn by the clock, the median.
        quartiles: of the same.
        processor: seconds of all threads of this process in a turn, the median.
        first: seconds of the first turn, with what had to be compiled.
        recompiled: programs compiled in the turns that count; 0 unless something is wrong.
        operations: floating-point operations of a turn; None: not counted.
        share: of the rate of large products of matrices, measured by turns with it; None: not counted.
        ceiling: that rate, in operations per second.
        dtype: that products are computed in.
        cost: of its program before it runs; None: not measured.
    """

    part: str
    what: str
    unit: str
    amount: float
    seconds: float
    quartiles: tuple[float, float]
    processor: float
    first: float
    recompiled: int
    operations: float | None
    share: float | None
    ceiling: float | None
    dtype: str
    cost: CompileCost | None

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.amount / self.seconds


def measured(part: str, ways: Mapping[str, Way], *, repeats: int = 7) -> list[Figure]:
    """Returns the figures of some ways that take turns, and with them large products of matrices where it matters.

    Args:
        part: what they belong to.
        ways: by name.
        repeats: turns that count.
    """
    dtypes = {jnp.dtype(way.dtype) for way in ways.values() if way.operations is not None}
    scale = 1 if jax.default_backend() == "cpu" else _LARGE
    probes = {dtype: product_probe(dtype, scale=scale) for dtype in dtypes}
    work = {name: way.work for name, way in ways.items()} | {str(dtype): probe.work for dtype, probe in probes.items()}
    first = {name: times.wall[0] for name, times in take_turns(work, repeats=1, warmups=0).items()}
    take_turns(work, repeats=1, warmups=0)
    with counted_programs() as count:
        times = take_turns(work, repeats=repeats, warmups=0)
        recompiled = count()
    figures: list[Figure] = []
    for name, way in ways.items():
        wall, ceiling, share = times[name].wall, None, None
        if way.operations is not None:
            dtype = jnp.dtype(way.dtype)
            best = times[str(dtype)].wall
            ceiling = probes[dtype].size / statistics.median(best)
            rates = (way.operations / probes[dtype].size * top / own for top, own in zip(best, wall, strict=True))
            share = statistics.median(rates)
        low, _, high = statistics.quantiles(wall, n=4, method="inclusive")
        figures.append(Figure(
            part=part, what=name, unit=way.unit, amount=way.amount, seconds=statistics.median(wall),
            quartiles=(low, high), processor=statistics.median(times[name].processor), first=first[name],
            recompiled=recompiled, operations=way.operations, share=share, ceiling=ceiling,
            dtype=jnp.dtype(way.dtype).name, cost=way.cost,
        ))  # fmt: skip
    return figures
