"""`aecf-jax evaluate RUN --drops ...` and `--curve ...`: a run's metrics where drop tables hide modalities."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aecf_jax.calibrate import Calibration
from aecf_jax.cli._plots import draw_robustness_curve
from aecf_jax.cli._saved import described
from aecf_jax.cli._tables import COLUMNS, make_console, make_grid, number
from aecf_jax.data import MECHANISMS, Dataset, DropTable, make_drops
from aecf_jax.errors import nearest, require
from aecf_jax.evaluate import EXACT, Calibrated, RobustnessCurve, late_fusion, robustness_curve
from aecf_jax.files import write_json
from aecf_jax.model import AECF_CLIP
from aecf_jax.stats import Estimate

DROPS, CURVES = "drops", "curves"
"""Folders of a run: its drop tables, by their hashes, and the curves measured on them."""

_SUMMED_UP = (0.3, 0.5, 0.7, 0.9)
_WHOLE = {"seed": int, "length": int}


def evaluate_on_drops(
    flags: Any, folder: Path, model: AECF_CLIP, dataset: Dataset, step: int,
    calibration: Calibration | None,
) -> int:  # fmt: skip
    """Returns 0, after printing the metrics under one drop table, or under one for each rate of a curve.

    Args:
        flags: the parsed flags.
        folder: of the run.
        model: of its best checkpoint.
        dataset: the rows.
        step: of the checkpoint.
        calibration: of the model's logits; the baseline's are as they are.

    Raises:
        InputError: if what the flag asks for cannot be, or a file's table is of other rows.
    """
    require(flags.drops is None or flags.curve is None, "curve", "not be given with --drops", flags.curve)
    baseline, asked = None, str(flags.curve or flags.drops)
    if flags.curve is None:
        tables = [_table(dataset, asked)]
        curve = robustness_curve(model, dataset, tables=tables, calibration=calibration)
    else:
        curve, baseline = _curve(model, dataset, asked, calibration), _baseline(model, dataset, asked)
        tables = _curve_tables(dataset, asked, curve.rates)
    where = f"{dataset.name}, {dataset.part} part"
    content = {"calibrated": calibration is not None, "curve": curve.to_dict(),
               "late_fusion": baseline and baseline.to_dict()}  # fmt: skip
    written = _save(folder, tables, curve, baseline, content, where)
    if flags.json:
        content = {"data": dataset.name, "part": dataset.part, "step": step, **content}
        print(json.dumps({**content, "files": [str(path) for path in written]}, indent=1, allow_nan=False))
        return 0
    console = make_console()
    console.print(f"{where}, {len(dataset)} rows; checkpoint of step {step}")
    if calibration is not None:
        console.print(described(calibration, folder))
    if flags.curve is None:
        _print_marginals(console, tables[0])
        _print_points(console, curve)
    else:
        _print_curve(console, curve, baseline)
    console.print(f"saved: {', '.join(map(str, written))}")
    return 0


def parsed_drops(text: str) -> tuple[str, dict[str, Any]]:
    """Returns the mechanism and the arguments of `make_drops` that a flag names, as `mcar:0.5,seed=1`.

    Args:
        text: a mechanism; after a colon, with commas, a rate, MODALITY=RATE, allow_empty, or NAME=VALUE for seed,
            observed, strength and length.

    Raises:
        InputError: if it is of another form.

    >>> parsed_drops("mar:0.3,observed=image,seed=1")
    ('mar', {'rate': 0.3, 'observed': 'image', 'seed': 1})
    >>> parsed_drops("mcar:image=0.5,text=0.1,allow_empty")
    ('mcar', {'allow_empty': True, 'rate': {'image': 0.5, 'text': 0.1}})
    """
    mechanism, _, rest = text.partition(":")
    require(mechanism in MECHANISMS, "drops", f"be a file, or begin with one of {', '.join(MECHANISMS)}", text,
            nearest(mechanism, MECHANISMS))  # fmt: skip
    options: dict[str, Any] = {}
    rates: dict[str, float] = {}
    for item in filter(None, rest.split(",")):
        name, given, value = item.partition("=")
        if item == "allow_empty":
            options["allow_empty"] = True
        elif not given:
            options["rate"] = _parsed(item, text, float)
        elif name == "observed":
            options["observed"] = value
        elif name in ("seed", "length", "strength"):
            options[name] = _parsed(value, text, _WHOLE.get(name, float))
        else:
            rates[name] = _parsed(value, text, float)
    require(not (rates and "rate" in options), "drops", "have one rate for all, or one by modality", text)
    return mechanism, options | ({"rate": rates} if rates else {})


def _parsed(value: str, text: str, kind: type) -> Any:
    """Returns a number of a flag."""
    try:
        return kind(value)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        require(False, "drops", f"have {noun} where it has {value!r}", text)
        raise


def _table(dataset: Dataset, text: str) -> DropTable:
    """Returns the drop table that --drops names: of a file, or made."""
    if Path(text).suffix == ".json" or Path(text).is_file():
        return DropTable.load(text)
    mechanism, options = parsed_drops(text)
    return make_drops(dataset, mechanism, **options)  # pyright: ignore[reportArgumentType]


def _curve(predictor: Any, dataset: Dataset, text: str, calibration: Calibrated | None = None) -> RobustnessCurve:
    """Returns the curve that --curve names, of the model or of the baseline."""
    if text == EXACT:
        return robustness_curve(predictor, dataset, exact=True, calibration=calibration)
    mechanism, options = parsed_drops(text)
    require("rate" not in options, "curve", "be without a rate: it has all of them", text)
    options["mechanism"] = mechanism
    return robustness_curve(predictor, dataset, calibration=calibration, **options)


def _curve_tables(dataset: Dataset, text: str, rates: Sequence[float]) -> list[DropTable]:
    """Returns the tables that a curve was measured on; none for an exact one."""
    if text == EXACT:
        return []
    mechanism, options = parsed_drops(text)
    return [make_drops(dataset, mechanism, rate=rate, **options) for rate in rates]  # pyright: ignore[reportArgumentType]


def _baseline(model: AECF_CLIP, dataset: Dataset, text: str) -> RobustnessCurve | None:
    """Returns the curve of the mean of what the model says of each modality alone; None where it is no classifier."""
    config = model.config
    if config.task_type != "classification" or config.multilabel is None:
        return None
    return _curve(late_fusion(dict.fromkeys(config.modalities, model)), dataset, text)


def _save(
    folder: Path, tables: Sequence[DropTable], curve: RobustnessCurve, baseline: RobustnessCurve | None,
    content: dict[str, Any], title: str,
) -> list[Path]:  # fmt: skip
    """Returns the files written: every table under its hash, and a curve of several rates beside its picture."""
    drops, curves = folder / DROPS, folder / CURVES
    written = [drops / f"{table.hash[:12]}.json" for table in tables]
    if tables:
        drops.mkdir(exist_ok=True)
    for table, path in zip(tables, written, strict=True):
        table.save(path)
    if len(curve.rates) == 1:
        return written
    curves.mkdir(exist_ok=True)
    calibrated = "-calibrated" if content["calibrated"] else ""
    path = curves / f"{curve.mechanism if tables else EXACT}-{_identity(curve)}{calibrated}.json"
    picture = path.with_suffix(".png")
    write_json(path, content)
    draw_robustness_curve(picture, {"model": curve} | ({"late fusion": baseline} if baseline else {}), title=title)
    return [*([drops] if tables else []), path, picture]


def _identity(curve: RobustnessCurve) -> str:
    """Returns a name that curves share when they were measured on the same rows and tables."""
    marks = [curve.data, *(mark.hash for mark in curve.tables)]
    return hashlib.sha256(" ".join(marks).encode()).hexdigest()[:12]


def _print_marginals(console: Any, table: DropTable) -> None:
    """Prints what a table hides."""
    marginals = table.marginals()
    grid = make_grid()
    for heading in ("modality", "rows that have it", "hidden"):
        grid.add_column(heading, justify="left" if heading == "modality" else "right")
    for name, had in zip(table.modalities, table.present.sum(axis=0).tolist(), strict=True):
        grid.add_row(name, str(had), number(marginals.hidden[name]))
    console.print(grid)
    sizes = ", ".join(f"{size}: {share:.1%}" for size, share in enumerate(marginals.sizes))
    console.print(f"rows by visible modalities: {sizes}")
    console.print(f"drop table {table.hash} ({table.mechanism}, seed {table.seed})")


def _print_points(console: Any, curve: RobustnessCurve) -> None:
    """Prints the metrics of a single table."""
    for name, heading in _shown(curve):
        value, low, high = curve.metrics[name][0]
        console.print(f"{heading} {number(value)} ({curve.level:.0%} interval {number(low)} to {number(high)})")


def _print_curve(console: Any, curve: RobustnessCurve, baseline: RobustnessCurve | None) -> None:
    """Prints one row per rate, and what sums them up."""
    (_, headline), *others = _shown(curve)
    points, relative = curve.metrics[curve.headline], curve.relative[curve.headline]
    gains = () if baseline is None else curve.effective(baseline)[curve.headline]
    grid = make_grid()
    headings = ["rate", "hidden", headline, "interval", *(heading for _, heading in others)]
    for heading in [*headings, *(["gain", "interval"] if gains else [])]:
        grid.add_column(heading, justify="right", no_wrap=True)
    for index, (rate, mark) in enumerate(zip(curve.rates, curve.tables, strict=True)):
        hidden = [share for share in mark.marginals.hidden.values() if not math.isnan(share)]
        cells = [f"{rate:g}", f"{sum(hidden) / max(len(hidden), 1):.3f}", number(points[index].value)]
        cells += [_interval(points[index]), *(number(curve.metrics[name][index].value) for name, _ in others)]
        grid.add_row(*cells, *([f"{gains[index].value:+.4f}", _interval(gains[index])] if gains else []))
    console.print(grid)
    areas = ", ".join(f"{heading} {number(curve.area[name].value)}" for name, heading in _shown(curve))
    console.print(f"mean over the rates (area under the curve): {areas}")
    kept = zip(curve.rates, relative, strict=True)
    kept = ", ".join(f"{number(share.value)} at {rate:g}" for rate, share in kept if rate in _SUMMED_UP)
    console.print(f"{headline} as a share of that at rate 0: {kept}")
    if gains:
        console.print("gain: over late fusion, the mean of what the model says of each visible modality alone")


def _interval(estimate: Estimate) -> str:
    """Returns the bounds of an estimate."""
    return "–" if math.isnan(estimate.low) else f"{estimate.low:.3f} … {estimate.high:.3f}"


def _shown(curve: RobustnessCurve) -> list[tuple[str, str]]:
    """Returns the metrics that are printed, with their headings, the headline first."""
    return [(name, heading) for name, heading in COLUMNS[curve.kind] if name in curve.metrics]
