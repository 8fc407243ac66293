"""Runs bundles as their READMEs say, in a process that may import jax, numpy and flatbuffers and nothing else.

python -I tests/deploy/isolated.py INPUTS.npz OUTPUTS.npz BUNDLE...

`INPUTS.npz` holds features by modality and `present`; `OUTPUTS.npz` gets `BUNDLE/output` for every bundle and output.
"""

import os
import re
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from pathlib import Path

# The last three are what jax itself depends on.
ALLOWED = {"jax", "jaxlib", "numpy", "flatbuffers", "ml_dtypes", "opt_einsum", "scipy"} | set(sys.stdlib_module_names)


class Allowed(PathFinder):
    """Finds the modules that are allowed, and no others, installed or not."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        top = fullname.split(".")[0]
        return super().find_spec(fullname, path, target) if top in ALLOWED or top.startswith("_sys") else None


def isolate():
    """Leaves the built-in modules and the allowed ones."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder in (BuiltinImporter, FrozenImporter)] + [Allowed]


def main(inputs, outputs, *bundles):
    import numpy as np

    arrays = dict(np.load(inputs))
    present = arrays.pop("present")
    results = {}
    for bundle in map(Path, bundles):
        os.chdir(bundle)
        (snippet,) = re.findall(r"```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
        names = {}
        exec(compile(snippet, "README.md", "exec"), names)
        for name, value in names["model"](names["arrays"], arrays, present).items():
            results[f"{bundle.name}/{name}"] = np.asarray(value)
    np.savez(outputs, **results)


if __name__ == "__main__":
    isolate()
    main(*sys.argv[1:])
