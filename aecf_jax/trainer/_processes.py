"""Several processes that are one run: how they find each other, agree, and what is said when one of them is lost."""

import os
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from aecf_jax.config import DeviceConfig
from aecf_jax.errors import InputError, LostProcessError, message, require

AUTO = "auto"
_VARIABLES = {
    "coordinator": "JAX_COORDINATOR_ADDRESS", "num_processes": "JAX_NUM_PROCESSES", "process_id": "JAX_PROCESS_ID",
}  # fmt: skip
_LAST_WORDS = 'read -r done || { sleep 1; printf "aecf-jax: %s\\n" "$0" >&2; }'


def join_processes(config: DeviceConfig) -> bool:
    """Returns whether this process is one of several of a run, after joining them; to be called before any other JAX.

    Args:
        config: where process 0 is, how many there are, and which this is; what is None, the environment says.

    Raises:
        InputError: if something that is needed is said nowhere, or the others cannot be reached.
    """
    given = {name: getattr(config, name) for name in _VARIABLES}
    told = {name: os.environ.get(variable) or None for name, variable in _VARIABLES.items()}
    found: dict[str, Any] = {name: told[name] if value is None else value for name, value in given.items()}
    if found["coordinator"] is None:
        named = [name for name, value in given.items() if value is not None]
        rule = "be given with --num-processes and --process-id: HOST:PORT of process 0, or auto in a cluster"
        require(not named, "coordinator", rule, None)
        return False
    automatic = found["coordinator"] == AUTO
    for name in ("num_processes", "process_id"):
        number = found[name]
        require(number is None or str(number).isdecimal(), name, "be a number", number)
        rule = f"be given with --coordinator, or {_VARIABLES[name]} be set"
        require(automatic or number is not None, name, rule, None)
    try:
        jax.distributed.initialize(
            None if automatic else str(found["coordinator"]),
            None if found["num_processes"] is None else int(found["num_processes"]),
            None if found["process_id"] is None else int(found["process_id"]),
            heartbeat_timeout_seconds=config.heartbeat,
            shutdown_timeout_seconds=config.heartbeat,
        )
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(message("coordinator", "lead to the other processes", found["coordinator"], reason)) from error
    return jax.process_count() > 1


def is_first() -> bool:
    """Returns whether this process is the one that writes and speaks for all."""
    return jax.process_index() == 0


def several() -> bool:
    """Returns whether the run has more than one process."""
    return jax.process_count() > 1


def agreed(value: int) -> int:
    """Returns the largest of what the processes say, the same in all of them; every process must ask.

    Args:
        value: what this one says, below 2**31.
    """
    return int(np.max(multihost_utils.process_allgather(np.int32(value)))) if several() else value


def agreed_text(value: str) -> str:
    """Returns what the first process says, in all of them; every process must ask.

    Args:
        value: what this one says, up to 4 kB.
    """
    if not several():
        return value
    buffer = np.zeros(4096, np.uint8)
    content = np.frombuffer(value.encode(), np.uint8)[: len(buffer)]
    buffer[: len(content)] = content
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(buffer))).rstrip(b"\0").decode()


def agreed_clock() -> Callable[[], float]:
    """Returns a clock that shows all processes the same seconds."""
    return (lambda: float(agreed(int(time.monotonic())))) if several() else time.monotonic


@contextmanager
def last_words(sentence: str) -> Generator[None]:
    """Has a sentence said if this process ends while it is open, whatever ends it.

    A process that waits for one that is lost is ended by JAX, from a thread that knows no Python: what speaks then is
    a shell that waits for the end of a pipe.

    Args:
        sentence: what to say.

    Raises:
        LostProcessError: with the sentence, where JAX has noticed a loss by itself.
    """
    if not several():
        yield
        return
    command = ["/bin/sh", "-c", _LAST_WORDS, sentence]
    # In a session of its own: what Ctrl-C ends is this process, and not who speaks of it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as shell:
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            raise LostProcessError(f"{sentence} ({str(error).splitlines()[0]})") from error
        finally:
            shell.communicate(b"done\n")
