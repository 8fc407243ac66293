"""The README of a bundle: what the model is, and the lines that load and run it where this library is not."""

import json

import jax

from aecf_jax import __version__
from aecf_jax.config import AECFConfig
from aecf_jax.deploy._program import PLATFORMS, output_name

_SNIPPET = """import json, jax, numpy as np
from pathlib import Path
from jax import export
arrays = {{}}
for raw in (Path(f"{{kind}}.safetensors").read_bytes() for kind in ("model", "normalization")):
    start = 8 + int.from_bytes(raw[:8], "little")
    for name, entry in json.loads(raw[8:start]).items():
        first, last = entry["data_offsets"]
        arrays[name] = np.frombuffer(raw[start + first : start + last], np.float32).reshape(entry["shape"])
model = jax.jit(export.deserialize(Path("model.stablehlo").read_bytes()).call)
features = {{name: np.zeros((5, width), np.float32) for name, width in {widths}.items()}}
out = model(arrays, features, np.ones((5, {count}), bool))
print({{name: array.shape for name, array in out.items()}})  # {output}, weights, entropy
"""


def readme(config: AECFConfig) -> str:
    """Returns a bundle's README."""
    widths = dict(zip(config.modalities, config.widths, strict=True))
    made = f"aecf_jax {__version__}, jax {jax.__version__}, for {', '.join(PLATFORMS)}"
    snippet = _SNIPPET.format(
        widths=json.dumps(widths), count=len(widths), output=output_name(config)
    )  # fmt: skip
    return f"""# {_title(config)} from {len(widths)} modalities ({made})

In this folder, with jax, numpy and flatbuffers alone (`aecf-jax export --refresh .` rebuilds it for a much newer jax):

```python
{snippet}```

The last argument says which modalities each row has; what stands in place of the others, NaN included, changes nothing.
"""


def _title(config: AECFConfig) -> str:
    """Returns what the model gives."""
    if config.task_type != "classification":
        return f"{config.num_classes} {'values' if config.task_type == 'regression' else 'coordinates'}"
    return f"Probabilities of {config.num_classes} {'labels' if config.multilabel else 'classes'}"
