"""Bundles of every kind for a process without this library, and what it must have computed; CI runs it in its own one.

python -m tests.deploy.fresh write FOLDER
OTHER_PYTHON -I tests/deploy/isolated.py FOLDER/in.npz FOLDER/out.npz FOLDER/classes FOLDER/labels FOLDER/values
python -m tests.deploy.fresh check FOLDER
"""

import sys
from pathlib import Path

import numpy as np

from tests.deploy.models import KINDS, all_patterns, expected, poisoned, tiny_model, written

TOLERANCE = 1e-6  # float32, compiled as another program: a few units in the last place.


def write(folder: Path) -> None:
    """Writes a bundle of every kind, and rows under every pattern of presence, with garbage where nothing is."""
    features, present = all_patterns()
    for kind in KINDS:
        written(folder, kind, kind)
    np.savez(folder / "in.npz", **poisoned(features, present), present=present)


def differences(folder: Path) -> dict[str, float]:
    """Returns how far each output is from what `evaluate` predicts of the same rows without the garbage."""
    features, present = all_patterns()
    found: dict[str, float] = {}
    with np.load(folder / "out.npz") as out:
        for kind in KINDS:
            names = {"output": "values" if kind == "values" else "probabilities"}
            for name, want in expected(tiny_model(kind), features, present).items():
                found[f"{kind}/{name}"] = float(np.abs(out[f"{kind}/{names.get(name, name)}"] - want).max())
            assert (out[f"{kind}/weights"][~present] == 0).all()
    return found


def main(action: str, name: str) -> int:
    """Returns 0 unless an output is further off than rounding explains."""
    folder = Path(name)
    if action == "write":
        folder.mkdir(exist_ok=True)
        write(folder)
        return 0
    found = differences(folder)
    print("largest difference from evaluate, over all patterns:", max(found.values()))
    return int(not max(found.values()) <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
