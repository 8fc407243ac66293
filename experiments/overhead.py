r"""What the default fusion costs beside concatenation in training, and beside its bare arithmetic in inference.

Command:   python experiments/overhead.py
Hardware:  1 CPU core; processor time, alternating, median of 9
Minutes:   1

The step is the whole one: gather, encoders, both views, losses, gradients, AdamW, averaged parameters. "as it is" has
all terms of the default; "plain" is concatenation as a textbook trains it, without any of them (one view, no
consistency, no unimodal loss). Inference is `model(features, present)` under jit, against the same products written out
without anything that knows of what is missing: encoders, experts and the joint layer, everything being present.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp
import numpy as np

from aecf_jax import AECF_CLIP, AECFConfig
from aecf_jax.nn import AECF
from aecf_jax.train import init_state, make_train_chunk
from aecf_jax.types import Batch

STEPS, ROUNDS = 20, 9
PLAIN = {"fusion": "concat", "pair_training": False, "consistency_coeff": 0.0, "unimodal_coeff": 0.0,
         "confidence_coeff": 0.0}  # fmt: skip
CASES = {"2 x 512, batch 512": (2, 512, 512), "6 x 128, batch 64": (6, 128, 64)}


def main() -> None:
    """Prints the ratios."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, (modalities, width, batch) in CASES.items():
        config = AECFConfig(
            modalities=[f"m{i}" for i in range(modalities)], feat_dim=width, num_classes=10, batch_size=batch,
            multilabel=False,
        )  # fmt: skip
        rows = made_rows(config, 8 * batch)
        ours, concat, plain = (
            step(config.update(**changes), rows, batch) for changes in ({}, {"fusion": "concat"}, PLAIN)
        )
        print(f"step, {name}: aecf / concat as it is {ratio(ours, concat):.3f}, / plain {ratio(ours, plain):.3f}")
        whole, bare = inference(config, rows)
        print(f"inference, {name}: aecf / its arithmetic alone {ratio(whole, bare):.3f}")


def made_rows(config: AECFConfig, count: int) -> Batch:
    """Returns random rows, all modalities present."""
    rng = np.random.default_rng(0)
    features = {
        name: jnp.asarray(rng.normal(size=(count, width)), jnp.float32)
        for name, width in zip(config.modalities, config.widths, strict=True)
    }
    label = jnp.asarray(rng.integers(0, config.num_classes, count), jnp.int32)
    return Batch(features, label, jnp.ones((count, len(config.modalities)), bool))


def step(config: AECFConfig, rows: Batch, batch: int) -> Callable[[], Any]:
    """Returns what takes `STEPS` steps."""
    chunk = make_train_chunk(config, STEPS)
    variables = AECF_CLIP(config).variables
    kept = {"state": init_state(jax.tree.map(jnp.copy, variables["params"]), chunk.optimizer, config)}
    order = jnp.asarray(np.random.default_rng(1).integers(0, len(rows.label), (STEPS, batch)), jnp.int32)
    root = jax.random.key(0)

    def run() -> None:
        kept["state"], _ = chunk(kept["state"], variables["constants"], rows, order, 0, root, length=STEPS)
        jax.block_until_ready(kept["state"])

    return run


def inference(config: AECFConfig, rows: Batch) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns the model under jit, and its bare arithmetic; raises unless they agree."""
    variables = dict(AECF_CLIP(config).variables)
    # The correction starts at 0: moved, so that what is compared does something.
    variables["params"] = jax.tree.map(lambda leaf: leaf + 0.01, variables["params"])
    whole = jax.jit(lambda variables, x, seen: AECF(config).apply(variables, x, seen).output)
    bare = jax.jit(lambda variables, x: by_hand(config, variables["params"], variables["constants"], x))
    np.testing.assert_allclose(
        whole(variables, rows.features, rows.present), bare(variables, rows.features), atol=1e-3
    )  # fmt: skip
    return (
        lambda: jax.block_until_ready(whole(variables, rows.features, rows.present)),
        lambda: jax.block_until_ready(bare(variables, rows.features)),
    )


def by_hand(config: AECFConfig, params: Any, constants: Any, features: Any) -> Any:
    """Returns the default's prediction where everything is present."""

    def layers(values: Any, x: Any) -> Any:
        for name in sorted(values, key=lambda name: (name == "out", name)):
            x = x @ values[name]["kernel"] + values[name]["bias"]
            x = x if name == "out" else jax.nn.relu(x)
        return x

    fusion, encoded, evidence = params["fusion"], [], []
    for name in config.modalities:
        x = (features[name] - constants["mean"][name]) / constants["scale"][name]
        encoded.append(layers(params[f"encoders_{name}"]["mlp"], x))
        evidence.append(layers(fusion[f"experts_{name}"]["mlp"], jax.nn.relu(encoded[-1])))
    joint = fusion["joint"]
    hidden = jnp.concatenate(encoded, axis=1) @ joint["kernel"] + joint["present_kernel"].sum(0) + joint["bias"]
    output = sum(evidence) + layers(joint["rest"], jax.nn.relu(hidden))
    return constants["prior"] + output / constants["temperature"]


def ratio(one: Callable[[], Any], other: Callable[[], Any]) -> float:
    """Returns the median ratio of processor times of alternating pairs."""
    found: list[float] = []
    for _ in range(ROUNDS + 1):
        times = []
        for run in (one, other):
            start = time.process_time()
            for _ in range(3):
                run()
            times.append(time.process_time() - start)
        found.append(times[0] / times[1])
    return statistics.median(found[1:])


if __name__ == "__main__":
    main()
