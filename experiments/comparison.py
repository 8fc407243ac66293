r"""How often `compare` finds a difference where there is none, and where there is one: simulated, and real networks.

Command:   python experiments/comparison.py
Hardware:  2 CPU cores
Minutes:   2 of processor time

Simulated are losses of 200 rows: a skewed difficulty of each row, what a seed adds (standard deviation 0.1), and a
skewed remainder of each network and row; "other rows" gives two models of one mean different hard rows; 4,000 pairs of
models each. The networks are 24 of one small configuration and as many seeds, on the digits' test rows: drawn at
random, 1,000 times, as two models of three seeds, or as two single networks. Shares of pairs with p < 0.05, ± half the
binomial 95 % interval where pairs are independent:

  no difference, 2 + 2 seeds                                    0.050 ± 0.007
  no difference, 3 + 3 seeds                                    0.051 ± 0.007
  no difference, 5 + 5 seeds                                    0.051 ± 0.007
  no difference, 1 + 4 seeds                                    0.051 ± 0.007
  no difference, 2 + 5 seeds                                    0.066 ± 0.008
  no difference, 3 + 3 seeds, other rows                        0.048 ± 0.007
  no difference, 3 + 3 seeds, one model's vary 10 times more    0.100 ± 0.009
  no difference, 2 networks without seed effects                0.054 ± 0.007
  no difference, 3 + 3 seeds, seeds ignored                     0.488 ± 0.016
  difference of 0.2, 3 + 3 seeds                                0.426 ± 0.015
  difference of 0.2, 5 + 5 seeds                                0.747 ± 0.014
  networks, nll, 3 + 3 seeds of one model                       0.060
  networks, nll, 2 seeds of one model, --by run                 0.345
  networks, accuracy, 3 + 3 seeds of one model                  0.072
  networks, accuracy, 2 seeds of one model, --by run            0.247
"""

import argparse
import sys
import tempfile
import time

import numpy as np

from aecf_jax import AECFConfig, AECFTrainer, DataConfig, load_splits
from aecf_jax.data import make_drops
from aecf_jax.evaluate import Drawn, NetworkFigures, compare_models, contrast, network_figures
from aecf_jax.stats import binomial_interval, resample_counts

ROWS, DRAWS, NULL = 200, 200, 0.05
CASES = {
    "no difference, 2 + 2 seeds": {"seeds": (2, 2)},
    "no difference, 3 + 3 seeds": {"seeds": (3, 3)},
    "no difference, 5 + 5 seeds": {"seeds": (5, 5)},
    "no difference, 1 + 4 seeds": {"seeds": (1, 4)},
    "no difference, 2 + 5 seeds": {"seeds": (2, 5)},
    "no difference, 3 + 3 seeds, other rows": {"seeds": (3, 3), "interaction": 1.0},
    "no difference, 3 + 3 seeds, one model's vary 10 times more": {"seeds": (3, 3), "spread": (0.2, 0.02)},
    "no difference, 2 networks without seed effects": {"seeds": (1, 1), "spread": (0.0, 0.0)},
    "no difference, 3 + 3 seeds, seeds ignored": {"seeds": (3, 3), "ignore": True},
    "difference of 0.2, 3 + 3 seeds": {"seeds": (3, 3), "shift": 0.2},
    "difference of 0.2, 5 + 5 seeds": {"seeds": (5, 5), "shift": 0.2},
}
SMALL = {"epochs": 15, "embed_dim": 16, "encoder_hidden_dims": (32,), "gate_hidden_dims": (16,), "head_hidden_dims": ()}


def main() -> None:
    """Prints the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4000, help="simulated pairs of models for each line")
    parser.add_argument("--networks", type=int, default=24, help="networks that are trained; 0: none")
    args = parser.parse_args()
    start = time.process_time()
    counts = resample_counts(ROWS, DRAWS, seed=0)
    for name, case in CASES.items():
        rng = np.random.default_rng(0)
        show(name, sum(simulated_p(rng, counts, **case) < NULL for _ in range(args.pairs)), args.pairs)
    if args.networks:
        for name, (found, pairs) in between_networks(args.networks).items():
            show(name, found, pairs, independent=False)
    print(f"{(time.process_time() - start) / 60:.0f} minutes of processor time", file=sys.stderr)


def show(name: str, found: int, pairs: int, *, independent: bool = True) -> None:
    """Prints one line."""
    low, high = binomial_interval(found, pairs)
    half = f" ± {(high - low) / 2:.3f}" if independent else ""
    print(f"  {name:<60}  {found / pairs:.3f}{half}", flush=True)


def simulated_p(
    rng: np.random.Generator, counts: np.ndarray, *, seeds: tuple[int, int], shift: float = 0.0,
    interaction: float = 0.0, spread: tuple[float, float] = (0.1, 0.1), ignore: bool = False,
) -> float:  # fmt: skip
    """Returns the p-value of two simulated models."""
    hard = rng.gamma(0.5, 1.0, ROWS)
    models: list[Drawn] = []
    for number, more, scale in zip(seeds, (0.0, shift), spread, strict=True):
        own = interaction * rng.normal(size=ROWS) + scale * rng.normal(size=(number, 1)) + more
        loss = hard + own + 0.5 * (rng.gamma(1.0, 1.0, (number, ROWS)) - 1)
        loss = loss.mean(axis=0, keepdims=True) if ignore else loss
        models.append(Drawn(loss.mean(axis=1), loss @ counts.T / ROWS))
    return contrast(*models, rows=ROWS).p


def between_networks(number: int, pairs: int = 1000) -> dict[str, tuple[int, int]]:
    """Returns how many pairs differ of models of three of the networks each, and of single networks."""
    splits = load_splits(DataConfig(data="digits"))
    drops = make_drops(splits.test, "mcar", rate=0.5)
    networks: list[NetworkFigures] = []
    for seed in range(number):
        data = splits.train
        config = AECFConfig(modalities=data.modalities, input_dims=data.widths, num_classes=data.num_classes,
                            seed=seed, **SMALL)  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            trainer = AECFTrainer(config, run_dir=folder)
            trainer.fit(data, splits.validation)
            networks.append(network_figures(trainer.model, splits.test, drops, draws=DRAWS))
        print(f"network {seed + 1} of {number}", file=sys.stderr)
    rng = np.random.default_rng(0)
    found: dict[str, tuple[int, int]] = {}
    for metric in ("nll", "accuracy"):
        key = ("mean of subsets", metric)

        def differ(seeds: int, key: tuple[str, str] = key) -> int:
            return sum(pair_p(networks, rng, seeds, key) < NULL for _ in range(pairs))

        found[f"networks, {metric}, 3 + 3 seeds of one model"] = (differ(3), pairs)
        found[f"networks, {metric}, 2 seeds of one model, --by run"] = (differ(1), pairs)
    return found


def pair_p(networks: list[NetworkFigures], rng: np.random.Generator, seeds: int, key: tuple[str, str]) -> float:
    """Returns the p-value of two models that are drawn from the networks."""
    drawn = rng.permutation(len(networks))[: 2 * seeds]
    models = {name: [only(networks[i], key) for i in some] for name, some in zip("ab", np.split(drawn, 2), strict=True)}
    return compare_models(models).differences[0].p


def only(network: NetworkFigures, key: tuple[str, str]) -> NetworkFigures:
    """Returns a network's figures with one of them alone."""
    return NetworkFigures(network.kind, network.about, {key: network.value[key]}, {key: network.draws[key]},
                          {key: network.rows[key]})  # fmt: skip


if __name__ == "__main__":
    main()
