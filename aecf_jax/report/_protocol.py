"""The thirteen points that a rigorous report states, each read from the facts, or said not to be known."""

from collections.abc import Callable, Iterator
from typing import Any

from aecf_jax.report._blocks import Pairs, Section, Text
from aecf_jax.report._facts import real
from aecf_jax.report._names import PROBABLE, listed
from aecf_jax.report._numbers import counted
from aecf_jax.report._read import Report, all_models, piece

_HASH = 16
"""Characters of a hash on the page; report.json has all."""


def protocol_section(report: Report) -> Section:
    """Returns the section.

    Args:
        report: the dictionary.
    """
    lead = Text(f"Hashes are shown by their first {_HASH} characters; report.json has them whole.")
    return Section("protocol", "Protocol", (lead, Pairs(tuple((name, say(report)) for name, say in _POINTS.items()))))


def _runs(report: Report) -> list[Report]:
    """Returns the runs of all models, baselines last."""
    return [run for model in all_models(report) for run in model["runs"]]


def _seeds(report: Report) -> str:
    """Returns every seed."""
    found = ", ".join(f"{run['name']} {run['config'].get('seed')}" for run in _runs(report))
    extra = [f"{name} {seed}" for name, seed in _runs(report)[0]["protocol"].get("seeds", {}).items()]
    return f"Training: {found}. Split: {report['data']['settings']['split_seed']}. " + (
        f"Evaluation: {', '.join(extra)}." if extra else "")  # fmt: skip


def _data(report: Report) -> str:
    """Returns the parts of the data with their fingerprints."""
    data = report["data"]
    parts = ", ".join(f"{part} {data['rows'][part]:,} rows {sha[:_HASH]}" for part, sha in data["sha256"].items())
    return f"{data['settings']['data']}; SHA-256 of content: {parts}. Test rows had no part in any fit or choice."


def _drops(report: Report) -> str:
    """Returns the drop tables with their hashes."""
    curves = [curve for model in report["models"] for curve in piece(model, "robustness")]
    patterns = counted(len(report["models"][0]["table"]), "pattern")
    subsets = f"The tables of subsets hide exactly what is not marked, in {patterns}: nothing is drawn."
    if not curves:
        return f"{subsets} No drop table was used."
    points = ", ".join(f"{rate:g}: {table['hash'][:_HASH]}"
                       for rate, table in zip(curves[0]["rates"], curves[0]["tables"], strict=True))  # fmt: skip
    return f"{subsets} Curves: {curves[0]['mechanism']}, seed {curves[0]['seed']}, rate: hash {points}."


def _empty(report: Report) -> str:
    """Returns whether rows without any modality occur."""
    presence = _runs(report)[0].get("presence")
    prior = "for such a row the model predicts its prior, fitted on the training rows"
    if not presence:
        return f"Not counted; {prior}."
    counts = ", ".join(f"{part} {found['empty']:,}" for part, found in presence.items())
    curves = [curve for model in report["models"] for curve in piece(model, "robustness")]
    empty = sum(table["empty"] for curve in curves[:1] for table in curve["tables"])
    made = "" if not curves else f" Drop tables leave {counted(empty, 'row')} with nothing."
    return f"Rows of the data with nothing: {counts}.{made} If there is one, {prior}."


def _fill(report: Report) -> str:
    """Returns what stands in the place of what is absent."""
    fills = sorted({"the training rows' mean" if model["config"]["standardize"] else "zero"
                    for model in all_models(report)})  # fmt: skip
    return (f"Before any arithmetic: {' or '.join(fills)}. The embedding of an absent modality is zero and so is its "
            "weight, so that the fill cannot show in a prediction.")  # fmt: skip


def _selection(report: Report) -> str:
    """Returns how checkpoints were chosen."""
    said: list[str] = []
    for model in all_models(report):
        config = model["config"]
        patience = config["early_stopping_patience"]
        steps = ", ".join(str(run["recorded"]["best_step"]) for run in model["runs"])
        until = f"stopping after {patience} validations without improvement" if patience else "without early stopping"
        said.append(f"{model['name']}: step {steps} of at most {config['epochs']} epochs, {until}")
    rule = ("The checkpoint with the lowest validation loss: the mean of the loss with everything present and with "
            "each modality hidden with the probability of training, on the validation rows.")  # fmt: skip
    return f"{rule} {'; '.join(said)}."


def _estimators(report: Report) -> str:
    """Returns what estimates calibration."""
    if report["kind"] not in PROBABLE:
        return "Nothing here is a probability: no calibration error is estimated."
    bins = _runs(report)[0]["protocol"].get("bins")
    kind = "mean over labels of each label's own error" if report["kind"] == "labels" else "top-label"
    width = counted(bins, "equal-width bin") if bins else "bins not recorded"
    return f"ECE: {kind}, {width}; NLL in nats; each estimator is defined in docs/metrics.md."


def _calibration(report: Report) -> str:
    """Returns how calibration was fitted."""
    said = [f"{model['name']}: {part['method']} by {part['by']}, {part['rows']:,} validation rows, {part['drops']}"
            for model in report["models"] for part in piece(model, "calibration")]  # fmt: skip
    return "; ".join(said) + "." if said else "None was fitted: probabilities are as the model gives them."


def _resamples(report: Report) -> str:
    """Returns where intervals come from."""
    protocol = _runs(report)[0]["protocol"]
    if not protocol.get("draws"):
        return "No interval over rows was computed."
    text = (f"{protocol['draws']:,} bootstrap resamples of the test rows, percentile intervals of level "
            f"{protocol['level']:g}, the same resamples for every subset.")  # fmt: skip
    if any(len(model["runs"]) > 1 for model in report["models"]):
        text += " Where a model has several seeds, its interval is Student's over them instead, of level 0.95."
    return text


def _correction(report: Report) -> str:
    """Returns what is done about many comparisons."""
    subsets = counted(len(report["models"][0]["table"]), "subset")
    return (f"None: intervals hold one at a time, and among {subsets} some miss by chance. No hypothesis is tested "
            "here; aecf-jax compare tests, with Holm's correction.")  # fmt: skip


def _baselines(report: Report) -> str:
    """Returns the baselines, and what is known of the search."""
    names = [model["name"] for model in report["baselines"]]
    said = f"Baselines: {listed(names, most=8)}." if names else "No baseline run was given."
    runs = sum(len(model["runs"]) for model in report["models"])
    shown = f"{counted(runs, 'run')} of {counted(len(report['models']), 'configuration')}"
    return (f"{said} Shown: {shown}; a run does not record how many others were tried before it, so the search budget "
            "is for its author to state.")  # fmt: skip


def _software(report: Report) -> str:
    """Returns versions and devices, of training and of this evaluation."""
    run = _runs(report)[0]
    trained = ", ".join(f"{name} {version}" for name, version in run["recorded"].get("versions", {}).items())
    here = run["protocol"].get("environment", {})
    evaluated = ", ".join(f"{name} {version}" for name, version in here.items())
    return f"Training: {trained or 'not recorded'}." + (f" Evaluation: {evaluated}." if evaluated else "")


def _left_out(report: Report) -> str:
    """Returns what this report does not have."""
    absent = list(_absent(report))
    return f"Not here: {'; '.join(absent)}." if absent else "Every part of the report applies and was measured."


_PARTS = {
    "robustness": "robustness curves", "reliability": "reliability diagrams", "calibration": "a post-hoc calibration",
    "conformal": "prediction sets", "monotonicity": "monotonicity", "gate": "gate diagnostics",
    "prevalence": "a prediction that ignores the input", "costs": "a measurement of prediction costs",
}  # fmt: skip


def _absent(report: Report) -> Iterator[str]:
    """Yields what the report does not have, with the reason where it is known."""
    reasons: dict[str, Any] = _runs(report)[0]["protocol"].get("reasons", {})
    for name, said in _PARTS.items():
        if not any(piece(model, name) for model in report["models"]):
            yield f"{said} ({reasons[name]})" if name in reasons else said
    if not report["baselines"]:
        yield "baselines (none given with --baseline)"
    if all(len(model["runs"]) == 1 for model in report["models"]):
        yield "the scatter of training (one seed)"
    figure = report["models"][0]["table"][-1]["metrics"][report["headline"]]
    if figure["count"] == 1 and real(figure.get("low")) != real(figure.get("low")):
        yield "intervals of the table"


_POINTS: dict[str, Callable[[Report], str]] = {
    "1. Seeds": _seeds, "2. Data and split": _data, "3. Drop tables": _drops, "4. Rows with nothing": _empty,
    "5. Fill of absent values": _fill, "6. Selection": _selection, "7. Estimators": _estimators,
    "8. Calibration": _calibration, "9. Intervals": _resamples, "10. Many comparisons": _correction,
    "11. Baselines and search": _baselines, "12. Software and hardware": _software, "13. Not done": _left_out,
}  # fmt: skip
