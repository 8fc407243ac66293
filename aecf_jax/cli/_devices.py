"""The devices and processes of a verb: joined before anything else, and one of them speaks for all."""

import os
import sys
from typing import Any

from aecf_jax.cli._settings import device_config
from aecf_jax.config import DeviceConfig
from aecf_jax.trainer import is_first, join_processes


def joined_devices(flags: Any) -> DeviceConfig:
    """Returns the devices of a verb, after joining the other processes; all but the first print nothing from then on.

    Args:
        flags: the parsed flags.

    Raises:
        InputError: for a value outside its range, or if the others cannot be reached.
    """
    config = device_config(flags)
    if join_processes(config) and not is_first():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until the process ends)
    return config
