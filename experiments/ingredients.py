r"""What each ingredient of the default brings, and what each that is off would bring: one changed at a time.

Command:   python experiments/ingredients.py --root ../shared/data --json experiments/results/ingredients.json \
               --markdown docs/ingredients.md --plot docs/ingredients.png
Hardware:  2 CPU cores
Minutes:   50

Two bases: the default, and the gated mixture of the paper (`fusion="gated"`) with the same training, on which those
parts act that need a gate. 10 seeds each, the same for all; nothing is searched. Differences are changed less base, by
seed, times 100, on the test part; ± is half a 95 % interval (Student's t over seeds), * marks those that do not reach
0. An ingredient pays where it lowers the NLL area, or the violating rate at no cost in NLL area.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jobs
import numpy as np
import recipe
from robustness import as_difference, as_text, half_interval, kept, values

from aecf_jax import AECFConfig

BASE, GATED = "default", "gated mixture"
REWARD = {"entropy_reg": True}
CHANGES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    BASE: {
        "agreement discounted, power 1.25": {"evidence_power": 1.25},
        "one temperature for all sizes": {"adaptive_temperature": False},
        "nothing fitted to held-out rows": {"fit_temperature": False},
        "last parameters, not averaged": {"average_epochs": 0.0},
        "averaged over 5 epochs": {"average_epochs": 5.0},
        "weight decay 0.1": {"weight_decay": 0.1},
        "no confidence hinge": {"confidence_coeff": 0.0},
        "confidence hinge 20": {"confidence_coeff": 20.0},
        "no KL consistency": {"consistency_coeff": 0.0},
        "no full view (pair_training off)": {"pair_training": False},
        "no masks": {"curriculum_mask": False},
        "legacy consistency 1": {"consistency_loss_coeff": 1.0},
        "subset calibration 1": {"subset_calibration_coeff": 1.0},
        "entropy reward 0.1": REWARD,
        "entropy reward 0.1, λ(x) predictive": {**REWARD, "entropy_instance": "predictive"},
        "entropy reward 0.1, λ(x) output": {**REWARD, "entropy_instance": "output"},
        "masks: entropy_min": {"masking_strategy": "entropy_min"},
        "masks: gate_proportional": {"masking_strategy": "gate_proportional"},
        "masks: uniform_size": {"masking_strategy": "uniform_size"},
        "masks: hardest of 3": {"masking_strategy": "hardest"},
        "masks: exponentiated_gradient": {"masking_strategy": "exponentiated_gradient"},
    },
    GATED: {
        "temperature that grows with the evidence": {"adaptive_temperature": True},
        "equal weights, no gate": {"gate_disabled": True},
        "no confidence hinge": {"confidence_coeff": 0.0},
        "no unimodal loss": {"unimodal_coeff": 0.0},
        "no KL consistency": {"consistency_coeff": 0.0},
        "no full view (pair_training off)": {"pair_training": False},
        "no masks": {"curriculum_mask": False},
        "gate sees what is hidden": {"mask_gate_input": False},
        "entropy reward 0.1": REWARD,
        "entropy reward 0.1, λ(x) predictive": {**REWARD, "entropy_instance": "predictive"},
    },
}
COLUMNS = {"score at 0": 1, "score at 0.5": 1, "NLL area": -1, "ECE of subsets": -1, "worst single": 1,
           "violating": -1}  # fmt: skip


def main() -> None:
    """Runs what is missing, prints the tables and writes what was asked for."""
    args = jobs.flags(str(__doc__), "ingredients").parse_args()
    wanted = [
        jobs.Job(data, name, config, seeds=args.seeds)
        for data in args.data for name, config in variants().items()
    ]  # fmt: skip
    found = jobs.found_by(wanted, root=args.root, folder=args.runs, workers=args.workers)
    text = "\n".join(table(found, base, data) for base in CHANGES for data in args.data)
    print(text)
    if args.json is not None:
        args.json.parent.mkdir(exist_ok=True)
        recipe.write_text(args.json, as_text(kept(found)))
    if args.markdown is not None:
        recipe.write_text(args.markdown, f"# What each ingredient brings\n\n{ABOUT}\n{text}\n")
    if args.plot is not None:
        draw(args.plot, found, args.data)


ABOUT = """Made by `experiments/ingredients.py`, whose header has the command and the protocol; figures of every seed,
and the hashes of drop tables and configurations, are in `experiments/results/ingredients.json`. Scores are accuracy,
for yeast macro average precision. Everything is times 100, on the test part, over 10 seeds. The first row is the base,
mean ± standard deviation; the others are differences from it under the same seeds, ± half a 95 % interval; * marks
those whose interval does not reach 0.

![What each change does to the NLL area](ingredients.png)
"""


def variants() -> dict[str, AECFConfig]:
    """Returns the configuration of every variant, by its base and what is changed."""
    bases = {BASE: AECFConfig(), GATED: AECFConfig(fusion="gated")}
    found = dict(bases)
    for base, changes in CHANGES.items():
        found |= {f"{base}: {name}": bases[base].update(**change) for name, change in changes.items()}
    return found


def table(found: Mapping[Any, Any], base: str, data: str) -> str:
    """Returns the table of one base on one data set."""
    lines = [f"\n## {base}, {data}\n", f"| | {' | '.join(COLUMNS)} |", "|---" + "|--:" * len(COLUMNS) + "|"]
    own = [values(found, data, base, column) for column in COLUMNS]
    cells = [f"{v.mean():.2f} ± {v.std(ddof=1) if len(v) > 1 else 0:.2f}" for v in own]
    lines.append(f"| {base} | {' | '.join(cells)} |")
    for name in CHANGES[base]:
        cells = [as_difference(values(found, data, f"{base}: {name}", column) - before)
                 for column, before in zip(COLUMNS, own, strict=True)]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(path: Path, found: Mapping[Any, Any], data: Sequence[str]) -> None:
    """Writes a picture: what each change does to the NLL area, one panel a base."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), dpi=130, layout="constrained")
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
    for panel, (base, changes) in zip(figure.subplots(1, len(CHANGES)), CHANGES.items(), strict=True):
        names = list(changes)[::-1]
        for offset, (source, colour) in enumerate(zip(data, colours, strict=False)):
            before = values(found, source, base, "NLL area")
            each = [(values(found, source, f"{base}: {n}", "NLL area") - before) / before.mean() for n in names]
            where = np.arange(len(names)) + 0.16 * (offset - 1.5)
            panel.errorbar([100 * e.mean() for e in each], where, xerr=[100 * half_interval(e) for e in each], fmt="o",
                           markersize=3, color=colour, label=source)  # fmt: skip
        panel.axvline(0, color="#999999", linewidth=0.8)
        panel.set_xscale("symlog", linthresh=2)
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.set_xlabel("change of the NLL area, percent")
        panel.set_title(base, loc="left", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(*panel.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
