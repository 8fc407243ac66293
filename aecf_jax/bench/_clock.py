"""Time of things that are compared: they take turns, so that what else the machine does falls on all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Times(NamedTuple):
    """What something took at each of its turns, in seconds.

    Attributes:
        wall: by the clock.
        processor: of all threads of this process; says nothing of what an accelerator does.
    """

    wall: tuple[float, ...]
    processor: tuple[float, ...]


def take_turns(ways: Mapping[str, Callable[[], object]], *, repeats: int = 7, warmups: int = 1) -> dict[str, Times]:
    """Returns what each of some ways took at each of its turns, after turns that do not count.

    Args:
        ways: what is timed, by name; each ends when its work is done, not when it is handed to a device.
        repeats: turns that count.
        warmups: turns before these, for compilation and caches.

    >>> found = take_turns({"one": lambda: sum(range(10)), "other": lambda: None}, repeats=3)
    >>> sorted(found), len(found["one"].wall)
    (['one', 'other'], 3)
    """
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(warmups + repeats):
        for name, work in ways.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            taken[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {name: Times(*zip(*turns[warmups:], strict=True)) for name, turns in taken.items()}


def median_ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Returns how many times as long one took as the other: the median over their turns.

    Args:
        one: seconds of each turn.
        other: the same, of the turns beside these.

    >>> median_ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0])
    2.0
    """
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
