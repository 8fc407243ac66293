"""What must agree before a run goes on: its configuration and its data."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

from aecf_jax.checkpoint import row_table
from aecf_jax.config import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.errors import require
from aecf_jax.types import Batch

FREE = frozenset(
    {"keep_checkpoints", "early_stopping_patience", "early_stopping_min_delta", "checkpoint_dir", "log_dir",
     "trainer_kwargs"}
)  # fmt: skip
"""Fields that may differ when a run goes on; all others decide what its next step does."""


def data_facts(
    train: Dataset, validation: Dataset | None, steps_per_epoch: int, order: Mapping[str, int] | None
) -> dict[str, Any]:
    """Returns what identifies the rows of a run: a resumed one must see the same ones in the same order.

    Args:
        train: all training rows.
        validation: all validation rows that are used.
        steps_per_epoch: steps an epoch.
        order: how they are shuffled, if not all of them among each other.
    """
    return {
        "training rows": _checksum(train),
        "validation rows": None if validation is None else _checksum(validation),
        "steps per epoch": steps_per_epoch,
        "order": order,
    }


def require_same_run(meta: Mapping[str, Any], config: AECFConfig, facts: Mapping[str, Any]) -> None:
    """Raises unless a checkpoint is of the run that is to go on.

    Args:
        meta: what was saved with it.
        config: of the run that is to go on.
        facts: its `data_facts`.

    Raises:
        InputError: naming the first field that differs, or the rows.
    """
    saved, asked = meta["config"], json.loads(json.dumps(config.to_dict()))
    for name, value in asked.items():
        same = name in FREE or (name in saved and saved[name] == value)
        hint = "Resume with the settings of the run, or start a new one in another folder."
        require(same, name, f"be {saved.get(name)!r}, as when the run was started", value, hint)
    for name, value in facts.items():
        same = meta["data"].get(name) == value
        require(same, name, "be those that the run was started with", "others", "Resume with the same data.")


def _checksum(rows: Dataset) -> int:
    """Returns one number for all arrays of some rows."""
    table = row_table(Batch(dict(rows.features), rows.label, rows.present))  # pyright: ignore[reportArgumentType]
    return zlib.crc32(json.dumps(table, sort_keys=True).encode())
