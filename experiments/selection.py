r"""What a setting would change, on rows held out of the training parts: so that defaults are not chosen on test rows.

Command:   python experiments/selection.py --root ../shared/data --change adaptive_temperature=false
Hardware:  2 CPU cores
Minutes:   6 for one change, 4 data sets and 6 seeds

Every seed holds another fifth of the training rows out; the rest is trained on, and validation rows stay what they are.
What is held out is measured as the test part is in robustness.py. Prints one table a data set: the default, mean ±
standard deviation, and each change less the default under the same seeds and rows, times 100, ± half a 95 % interval
(Student's t over seeds), * where that does not reach 0.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jobs
import numpy as np
import recipe
from ingredients import COLUMNS
from robustness import as_difference

from aecf_jax import AECFConfig
from aecf_jax.data import Dataset
from aecf_jax.sweep import train_many

SHARE = 0.2
"""Of the training rows, held out."""


def main() -> None:
    """Trains, measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=None, help="folder of the original files of all sources but digits")
    parser.add_argument("--data", nargs="*", default=list(jobs.SOURCES), choices=list(jobs.SOURCES))
    parser.add_argument("--seeds", type=int, default=6, help="networks of every setting, each with its own split")
    parser.add_argument("--change", action="append", default=[], metavar="FIELD=VALUE[,...]",
                        help="fields that differ from the default; may be given several times")  # fmt: skip
    args = parser.parse_args()
    changes = {text: changed(text) for text in ("default", *args.change)}
    start, total = time.monotonic(), len(args.data) * args.seeds
    for number, data in enumerate(args.data):
        found: dict[str, list[Mapping[str, float]]] = {name: [] for name in changes}
        for seed in range(args.seeds):
            for name, figures in figures_of(data, args.root, seed, changes).items():
                found[name].append(figures)
            done = number * args.seeds + seed + 1
            minutes = (time.monotonic() - start) / done * (total - done) / 60
            print(f"{data}, seed {seed}: done, {minutes:.0f} minutes left", file=sys.stderr)
        print(table(data, found), flush=True)


def changed(text: str) -> dict[str, Any]:
    """Returns what a change sets; the default's text sets nothing.

    >>> changed("adaptive_temperature=true,masking_strategy=hardest")
    {'adaptive_temperature': True, 'masking_strategy': 'hardest'}
    """
    return {name: value(given) for name, _, given in (part.partition("=") for part in text.split(",")) if given}


def value(text: str) -> Any:
    """Returns a number or boolean, or the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def figures_of(
    data: str, root: str | None, seed: int, changes: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Returns the figures of every setting on the fifth that one seed holds out."""
    splits = jobs.splits_of(data, root)
    base = recipe.configured(AECFConfig(seed=seed), splits)
    rest, fifth = parted(splits.train, seed)
    configs = [base.update(**change) for change in changes.values()]
    runs = train_many(configs, rest, splits.validation, how="sequence")
    tables = jobs.drop_tables(fifth)
    return {name: jobs.measured(run.model, fifth, tables)[0] for name, run in zip(changes, runs, strict=True)}


def parted(rows: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Returns four fifths of the rows, and the fifth that is held out."""
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = round(SHARE * len(order))
    return rows.take(np.sort(order[cut:])), rows.take(np.sort(order[:cut]))


def table(data: str, found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Returns the table of a data set."""
    lines = [f"\n## {data}\n", f"| | {' | '.join(COLUMNS)} |", "|---" + "|--:" * len(COLUMNS) + "|"]
    own = {column: 100 * np.array([one[column] for one in found["default"]]) for column in COLUMNS}
    spread = {column: each.std(ddof=1) if len(each) > 1 else 0.0 for column, each in own.items()}
    lines.append("| default | " + " | ".join(f"{own[c].mean():.2f} ± {spread[c]:.2f}" for c in COLUMNS) + " |")
    for name in list(found)[1:]:
        cells = [as_difference(100 * np.array([one[column] for one in found[name]]) - own[column])
                 for column in COLUMNS]  # fmt: skip
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
