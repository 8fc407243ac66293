"""Ctrl-C and SIGTERM: the first is noted, to be read between chunks; the second does what it always does."""

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Which signal has come so far.

    Attributes:
        signal: its number; None: none.
    """

    def __init__(self) -> None:
        self.signal: int | None = None


@contextlib.contextmanager
def interrupts() -> Generator[Interrupts]:
    """Notes the first signal while it is open, and gives back the handlers that were there before.

    Only in the main thread: Python allows handlers nowhere else; in another one nothing is noted.
    """
    noted = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        signal.signal(number, _noting(noted, before))
    try:
        yield noted
    finally:
        _restore(before)


def _noting(noted: Interrupts, before: dict[int, Any]) -> Callable[[int, FrameType | None], None]:
    """Returns a handler that notes its signal, and leaves the next one to the handlers before."""

    def handle(number: int, _frame: FrameType | None) -> None:
        noted.signal = number
        _restore(before)

    return handle


def _restore(before: dict[int, Any]) -> None:
    """Puts handlers back; None stands for one that was not set from Python, and cannot be."""
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)
