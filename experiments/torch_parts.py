"""What benchmark_pytorch.py compares beside training: metrics, the attention pool, subsets, latency and the start."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch_model import TorchModel

from aecf_jax import AECF_CLIP
from aecf_jax.bench import random_rows
from aecf_jax.config import Workload
from aecf_jax.deploy import Predictor
from aecf_jax.evaluate import subset_outputs, subsets
from aecf_jax.metrics import average_precision, average_precision_on_host
from aecf_jax.nn import CurriculumMasking, MultimodalAttentionPool

Ways = Mapping[str, Callable[[], object]]


def metric_ways(rows: int = 5_000, labels: int = 80) -> tuple[Ways, float]:
    """Returns the ways to compute exact mean average precision, and the largest difference from scikit-learn's."""
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    scores = rng.random((rows, labels), np.float32)
    truth = rng.random((rows, labels)) < 0.05
    on_device, its_truth = jnp.asarray(scores), jnp.asarray(truth, jnp.float32)
    inside = jax.jit(lambda scores, truth: jnp.mean(average_precision(scores, truth)))
    ways = {
        "scikit-learn": lambda: average_precision_score(truth, scores, average="macro"),
        "on the host": lambda: average_precision_on_host(scores, truth).mean(),
        "inside jit": lambda: float(inside(on_device, its_truth)),
    }
    found = [way() for way in ways.values()]
    return ways, max(abs(one - found[0]) for one in found)


def pool_ways(batch: int = 1024, width: int = 512, heads: int = 8, entries: int = 3) -> Ways:
    """Returns the attention layer of the `aecf` wheel and ours, with a curriculum, forward and backward."""
    import aecf

    rng = np.random.default_rng(0)
    query = rng.standard_normal((1, 1, width), np.float32)
    keys = rng.standard_normal((batch, entries, width), np.float32)
    masking = aecf.CurriculumMasking(base_mask_prob=0.15)
    theirs = aecf.MultimodalAttentionPool(width, num_heads=heads, curriculum_masking=masking).train()
    their_query, their_keys = torch.tensor(query, requires_grad=True), torch.tensor(keys)

    def torch_step() -> None:
        theirs.zero_grad(set_to_none=True)
        output, _ = theirs(their_query.expand(batch, -1, -1), their_keys, return_info=True)
        output.square().mean().backward()

    ours = MultimodalAttentionPool(width, heads, curriculum_masking=CurriculumMasking(base_mask_prob=0.15))
    our_query, our_keys, draw = jnp.asarray(query), jnp.asarray(keys), jax.random.key(1)
    variables = jax.jit(ours.init)(jax.random.key(0), our_query, our_keys)

    # The keys are an argument: what is made of constants alone is computed when a program is compiled.
    def loss(variables: Any, query: Any, keys: Any, draw: Any) -> Any:
        rngs = {"curriculum": draw}
        return jnp.mean(jnp.square(ours.apply(variables, query, keys, train=True, rngs=rngs)[0]))

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    forward = jax.jit(lambda *given: ours.apply(*given)[0])

    def torch_forward() -> None:
        with torch.no_grad():
            theirs.eval()(their_query.expand(batch, -1, -1), their_keys)
        theirs.train()

    return {
        "aecf wheel, forward and backward": torch_step,
        "JAX, forward and backward": lambda: jax.block_until_ready(step(variables, our_query, our_keys, draw)),
        "aecf wheel, forward alone": torch_forward,
        "JAX, forward alone": lambda: jax.block_until_ready(forward(variables, our_query, our_keys)),
    }


def subset_ways(rows: int, gate: int, modalities: int = 6) -> tuple[Ways, float]:
    """Returns predictions from all subsets of the modalities, and the largest difference of a probability."""
    work = Workload(rows=max(rows, 512), num_modalities=modalities, gate=gate)
    data, model = random_rows(work, rows), AECF_CLIP(work.config())
    theirs = TorchModel(work.config()).load(model.variables["params"]).eval()
    x = torch.tensor(np.stack([data.features[name] for name in work.names], axis=1))
    chosen = torch.tensor([[name in subset for name in work.names] for subset in subsets(work.names)])

    def torch_loop() -> np.ndarray:
        with torch.no_grad():
            return torch.stack([theirs(x, seen)[0].sigmoid() for seen in chosen]).numpy()

    def together() -> np.ndarray:
        return np.concatenate([chunk.output for chunk in subset_outputs(model, data)])

    difference = np.abs(np.asarray(jax.nn.sigmoid(together())) - torch_loop()).max()
    return {"PyTorch loop": torch_loop, "JAX": together}, float(difference)


def latency_ways(work: Workload, batch: int, calls: int, *, compiled: bool) -> Ways:
    """Returns prediction of a few rows, NumPy in and out, several times."""
    model = AECF_CLIP(work.config())
    predictor = Predictor.from_model(model)
    apply = jax.jit(lambda variables, features: model.module.apply(variables, features).output)
    theirs = TorchModel(work.config()).load(model.variables["params"]).eval()
    features = dict(random_rows(work, batch).features)

    def with_torch(forward: Callable[..., Any]) -> Callable[[], object]:
        def once() -> np.ndarray:
            with torch.no_grad():
                x = torch.stack([torch.from_numpy(features[name]) for name in work.names], dim=1)
                return forward(x)[0].numpy()

        return lambda: [once() for _ in range(calls)]

    ways = {
        "PyTorch eager": with_torch(theirs),
        "JAX jit": lambda: [np.asarray(apply(model.variables, features).block_until_ready()) for _ in range(calls)],
        "Predictor": lambda: [predictor(features) for _ in range(calls)],
    }
    return ways | ({"PyTorch compiled": with_torch(torch.compile(theirs))} if compiled else {})


_JAX_START = """
import numpy as np, jax
from aecf_jax.bench import random_rows
from aecf_jax.config import Workload
from aecf_jax.rng import seed_key
from aecf_jax.train import make_train_chunk
from aecf_jax.trainer import checkpoint_tree, on_device
set_aside()
work = Workload(rows=512 * steps); data = random_rows(work); config = work.config()
chunk = make_train_chunk(config, steps)
tree = checkpoint_tree(config)
order = jax.device_put(np.arange(work.rows, dtype=np.int32).reshape(steps, 512))
root = seed_key(0)
jax.block_until_ready(chunk(tree["state"], tree["constants"], on_device(data), order, 0, root, length=steps))
"""
_TORCH_START = """
import numpy as np, torch
from torch.nn import functional as F
set_aside()
torch.set_num_threads(1)
rng = np.random.default_rng(0)
features = torch.from_numpy(rng.standard_normal((512 * steps, 2, 512), np.float32))
labels = torch.from_numpy((rng.random((512 * steps, 80)) < 0.05).astype(np.float32))
gate, out, head = torch.nn.Linear(1024, 2048), torch.nn.Linear(2048, 2), torch.nn.Linear(512, 80)
params = [*gate.parameters(), *out.parameters(), *head.parameters()]
optimizer = torch.optim.AdamW(params, fused=True)
for x, y in zip(features.split(512), labels.split(512)):
    x = F.normalize(x, dim=-1)
    weights = out(F.dropout(F.relu(gate(x.flatten(1))), 0.1)).softmax(-1)
    loss = F.binary_cross_entropy_with_logits(head((weights[..., None] * x).sum(1)), y)
    optimizer.zero_grad(); loss.backward(); torch.nn.utils.clip_grad_norm_(params, 1.0); optimizer.step()
"""
# As `ops.peak_bytes`, which PyTorch's processes do not import.
_AFTER = """
import json, resource
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([used.ru_utime + used.ru_stime, peak / 1024]))
"""


def starts(steps: int = 1, times: int = 3) -> dict[str, tuple[float, float]]:
    """Returns processor seconds and peak MiB of new processes that train some steps, each on other rows.

    Args:
        steps: of 512 rows.
        times: processes of each kind; the least of them counts.
    """
    found: dict[str, list[list[float]]] = {"PyTorch": [], "JAX, nothing compiled": [], "JAX, compiled before": []}
    for _ in range(times):
        with tempfile.TemporaryDirectory() as cache:
            found["PyTorch"].append(_started(_TORCH_START, steps, {}))
            # As the command line sets it: programs of any size are kept.
            kept = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0"}  # fmt: skip
            found["JAX, nothing compiled"].append(_started(_JAX_START, steps, kept))
            found["JAX, compiled before"].append(_started(_JAX_START, steps, kept))
    return {name: (min(run[0] for run in runs), min(run[1] for run in runs)) for name, runs in found.items()}


def _started(program: str, steps: int, environment: dict[str, str]) -> list[float]:
    """Returns the processor seconds and MiB of one process on one core; after the first it finds bytecode to load."""
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    first = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); steps = {steps}\n"
    # As the command line does; both libraries gain.
    first += "import gc; gc.set_threshold(10_000); gc.disable(); set_aside = lambda: (gc.freeze(), gc.enable())\n"
    given = os.environ | environment | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", first + program + _AFTER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=given)
    return json.loads(done.stdout.splitlines()[-1])
