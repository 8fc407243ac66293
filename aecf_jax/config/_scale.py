"""Where a program runs, and how data comes to it: settings that change what a run costs, not what it is."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from aecf_jax.errors import require, require_type

StreamMode = Literal["auto", "always", "never"]

AXES = ("data", "model")
"""Axes of a mesh: batches are cut along the first, the widest hidden layers along the second."""


@dataclass(frozen=True, kw_only=True)
class DeviceConfig:
    """On which devices a program runs, and with which other processes.

    Raises:
        InputError: if a value is outside its range, or not all of what belongs together is given.

    >>> DeviceConfig(mesh="data=4,model=2").axes
    {'data': 4, 'model': 2}
    >>> DeviceConfig(mesh="data=0")
    Traceback (most recent call last):
    aecf_jax.errors.InputError: `mesh` must be like data=8 or data=4,model=2; got data=0.
    """

    mesh: str | None = None
    """Devices by axis, for example data=8 or data=4,model=2; None: one device, or data over those of all processes."""
    coordinator: str | None = None
    """HOST:PORT of process 0 where several processes are one run; auto: as the cluster says (SLURM, TPU pod, MPI)."""
    num_processes: int | None = None
    """How many processes there are; None: as JAX_NUM_PROCESSES or the cluster says."""
    process_id: int | None = None
    """Which of them this is, from 0; None: as JAX_PROCESS_ID or the cluster says."""
    heartbeat: int = 100
    """Seconds without a sign of life after which a process counts as lost, and all others end."""

    def __post_init__(self) -> None:
        """Checks every field."""
        require_type(isinstance(self.mesh, str | None), "mesh", "be a text", self.mesh)
        form = rf"({'|'.join(AXES)})=([1-9][0-9]*)"
        given = [re.fullmatch(form, part) for part in (self.mesh or "data=1").split(",")]
        names = [part[1] for part in given if part]
        right = all(given) and len(set(names)) == len(names)
        require(right, "mesh", "be like data=8 or data=4,model=2", self.mesh)
        require(self.heartbeat >= 1, "heartbeat", "be at least 1 second", self.heartbeat)
        for name in ("num_processes", "process_id"):
            value = getattr(self, name)
            require(value is None or value >= 0, name, "be at least 0", value)
        count, index = self.num_processes, self.process_id
        within = count is None or index is None or index < count
        require(within, "process_id", f"be below num_processes, {count}", index)

    @property
    def axes(self) -> dict[str, int] | None:
        """Devices by axis, in the order of `AXES`; None where no mesh is given."""
        if self.mesh is None:
            return None
        sizes = {name: int(size) for name, size in (part.split("=") for part in self.mesh.split(","))}
        return {name: sizes.get(name, 1) for name in AXES if name == AXES[0] or name in sizes}


@dataclass(frozen=True, kw_only=True)
class StreamConfig:
    """Whether training rows lie on the device or come to it chunk by chunk.

    Raises:
        InputError: if a value is outside its range.
    """

    stream: StreamMode = "auto"
    """Read features from disk chunk by chunk; auto: where they are larger than --memory."""
    memory: float | None = None
    """Gigabytes that features may take where they are not streamed; None: half of the device's memory."""

    def __post_init__(self) -> None:
        """Checks every field."""
        choices = get_args(StreamMode)
        require(self.stream in choices, "stream", f"be one of {', '.join(choices)}", self.stream)
        require(self.memory is None or self.memory > 0, "memory", "be positive", self.memory)
