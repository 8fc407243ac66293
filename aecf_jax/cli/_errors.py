"""Where errors end: what the user can mend is one sentence and exit code 2; the rest keeps its traceback."""

import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager

from aecf_jax.errors import InputError, LostProcessError, MissingExtraError, NonFiniteLossError

USER_ERROR = 2
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHOW_TRACEBACK = "AECF_TRACEBACK"


def exit_code(work: Callable[[], int]) -> int:
    """Returns the exit code of some work, with its errors printed as one sentence each.

    Args:
        work: does something and returns an exit code.
    """
    try:
        with _short_warnings():
            return work()
    except (InputError, LostProcessError, MissingExtraError, NonFiniteLossError) as error:
        return _said(str(error))
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno is None:
            raise
        return _said(_sentence(error))
    except KeyboardInterrupt:
        print("\naecf-jax: Interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    except SystemExit as stop:
        # Raised by the parser, which has printed its own message.
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1


def _said(sentence: str) -> int:
    """Returns the exit code of a user's error, after printing it."""
    if os.environ.get(_SHOW_TRACEBACK):
        traceback.print_exc()
    print(f"aecf-jax: {' '.join(sentence.split())}", file=sys.stderr)
    return USER_ERROR


def _sentence(error: OSError) -> str:
    """Returns what the operating system refused, in one sentence."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in _FULL:
        return f"The disk must have room for the output; got: {error.strerror}{where}. Free some space and try again."
    return f"The operating system refused: {error.strerror}{where}."


@contextmanager
def _short_warnings() -> Generator[None]:
    """Prints warnings as one line each, without the source line that raised them."""
    long_form = warnings.formatwarning
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"aecf-jax: warning: {message}\n"
    try:
        yield
    finally:
        warnings.formatwarning = long_form
