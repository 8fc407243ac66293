"""The first section: whether the model can be trusted where modalities are missing, and which of them matter."""

import math
from typing import NamedTuple

from aecf_jax.report._blocks import (
    Bars,
    Block,
    Column,
    Figure,
    Figures,
    Heading,
    Pairs,
    Section,
    Table,
    Text,
    Tone,
    Verdict,
)
from aecf_jax.report._facts import real
from aecf_jax.report._models import merged_value
from aecf_jax.report._names import PROBABLE, label, listed, plus
from aecf_jax.report._numbers import DASH, number, percent
from aecf_jax.report._read import Report, full, over_runs, piece, several, singles, value, worst, written
from aecf_jax.report._shares import Share, shares

NEAR = 0.05
"""Largest ECE that passes; a convention: probabilities that are off by more than five points mislead decisions."""


class Check(NamedTuple):
    """One question of the headline, with its answer.

    Attributes:
        question: what is asked.
        passed: the answer.
        found: the figures behind it.
    """

    question: str
    passed: bool
    found: str


def answer_section(report: Report) -> Section:
    """Returns the section.

    Args:
        report: the dictionary.
    """
    blocks: list[Block] = []
    for model in report["models"]:
        if several(report):
            blocks.append(Heading(model["name"]))
        blocks += _answer(report, model)
    return Section("answer", "In short", tuple(blocks))


def _answer(report: Report, model: Report) -> list[Block]:
    """Returns what there is to say of one model."""
    found = checks(report, model)
    blocks: list[Block] = [_verdict(found), Text(_sentence(report, model))]
    if found:
        said = tuple((one.question, f"{'✓ Yes' if one.passed else '✗ No'}: {one.found}.") for one in found)
        blocks += [
            Text("What the verdict rests on; each rule is stated, so that you can set another:"),
            Pairs(said, wide=True),
        ]
    return blocks + _matter(report, model)


def _verdict(found: list[Check]) -> Verdict:
    """Returns the answer in a few words."""
    failed = [one for one in found if not one.passed]
    title = "Can it be trusted when modalities are missing? "
    tone: Tone = "plain" if not found else "good" if not failed else "bad" if len(failed) == len(found) else "care"
    said = {
        "plain": "This report has no check that applies.",
        "good": "Yes, on rows like these: it passes every check.",
        "care": f"With care: {len(failed)} of {len(found)} checks fail.",
        "bad": "No: it fails every check.",
    }[tone]
    return Verdict(tone, title + said, "Measured on test rows that had no part in training, selection or calibration. "
                                       "Other data, or other reasons for which modalities go missing, were not "
                                       "tested.")  # fmt: skip


def _sentence(report: Report, model: Report) -> str:
    """Returns how good the model is with everything, with little, and on average."""
    metric, low = report["headline"], worst(singles(model), report)
    mean = math.fsum(value(row, metric) for row in model["table"]) / len(model["table"])
    text = (
        f"With all {len(report['modalities'])} modalities its {label(metric)} is "
        f"{written(full(model)['metrics'][metric])}; the mean over all {len(model['table'])} subsets is "
        f"{number(mean)}, and with the worst single modality, {plus(low['modalities'])}, it is "
        f"{written(low['metrics'][metric])}."
    )
    seeds = len(model["runs"])
    return text if seeds == 1 else f"{text} Figures are means over {seeds} seeds ± their standard deviation."


def checks(report: Report, model: Report) -> list[Check]:
    """Returns the questions that the facts can answer, with their answers.

    Args:
        report: the dictionary.
        model: one of its models.
    """
    found = [_beats_guessing(report, model), _says_what_is_true(report, model), _order(report, model), _covers(model),
             _resists(report, model)]  # fmt: skip
    return [one for one in found if one is not None]


def _beats_guessing(report: Report, model: Report) -> Check | None:
    """Returns whether every subset is better than predicting the frequencies, or the mean, of the training rows."""
    metric, base = report["headline"], nothing(report, model)
    known = [row for row in model["table"] if math.isfinite(value(row, metric))]
    if not math.isfinite(base) or not known:
        return None
    sign, end = (1, "low") if report["more_is_better"] else (-1, "high")

    def pessimistic(row: Report) -> float:
        bound = real(row["metrics"][metric].get(end))
        return bound if math.isfinite(bound) else value(row, metric)

    bad = [plus(row["modalities"]) for row in known if sign * (pessimistic(row) - base) <= 0]
    rule = "Is it better than ignoring the input, with every subset (by the near end of its interval)?"
    poor = worst(known, report)
    said = f"ignoring the input: {label(metric)} {number(base)}; "
    said += f"not better: {listed(bad)}" if bad else f"worst subset, {plus(poor['modalities'])}: " + number(
        value(poor, metric))  # fmt: skip
    return Check(rule, not bad, said)


def _says_what_is_true(report: Report, model: Report) -> Check | None:
    """Returns whether probabilities are right on average, with every subset."""
    if report["kind"] not in PROBABLE:
        return None
    known = [row for row in model["table"] if math.isfinite(value(row, "ece"))]
    if not known:
        return None
    high = max(known, key=lambda row: value(row, "ece"))
    bad = [row for row in known if value(row, "ece") > NEAR]
    after = "after calibration" if piece(model, "calibration") else "as the model gives them, not calibrated"
    said = f"{after}: largest ECE {number(value(high, 'ece'))}, with {plus(high['modalities'])}"
    return Check(f"Are its probabilities off by at most {NEAR:g} on average, with every subset?", not bad,
                 said + (f"; above {NEAR:g} with {len(bad)} of {len(known)}" if bad else ""))  # fmt: skip


def _order(report: Report, model: Report) -> Check | None:
    """Returns whether no modality makes things worse, on average over rows, when it is added to a subset."""
    metric = "nll" if report["kind"] in PROBABLE else report["headline"]
    sign = -1 if report["more_is_better"] and metric == report["headline"] else 1
    rows = {frozenset(row["modalities"]): row["metrics"][metric] for row in model["table"]}
    pairs = [(row["metrics"][metric], rows.get(frozenset(row["modalities"]) - {name}), row["modalities"], name)
             for row in model["table"] for name in row["modalities"] if len(row["modalities"]) > 1]  # fmt: skip
    known = [(larger, smaller, names, name) for larger, smaller, names, name in pairs if smaller is not None]
    if not known:
        return None
    worse = [f"{name} in {plus(names)}" for larger, smaller, names, name in known if _apart(larger, smaller, sign)]
    said = f"{len(worse)} of {len(known)} pairs of subsets" + (f": {listed(worse)}" if worse else "")
    verb = "raise" if sign > 0 else "lower"
    return Check(f"Does a modality more never {verb} the mean {label(metric)}, beyond chance?", not worse, said)


def _apart(larger: Report, smaller: Report, sign: int) -> bool:
    """Returns whether the larger subset's figure is worse by more than both intervals; without them, at all."""
    near, far = ("low", "high") if sign > 0 else ("high", "low")
    best, least = real(larger.get(near)), real(smaller.get(far))
    if not (math.isfinite(best) and math.isfinite(least)):
        best, least = real(larger["value"]), real(smaller["value"])
    return sign * (best - least) > 0


def _covers(model: Report) -> Check | None:
    """Returns whether prediction sets hold the true class as often as they promise."""
    parts = piece(model, "conformal")
    if not parts:
        return None
    rows = [row for part in parts for row in part["patterns"]]
    level = parts[0]["level"]
    bad = [row for row in rows if real(row["coverage"]) < real(row["least"])]
    said = f"{len(rows) - len(bad)} of {len(rows)} patterns" + (
        f"; too seldom with {listed([row['pattern'] for row in bad])}" if bad else "")  # fmt: skip
    return Check(
        f"Do its prediction sets hold the truth {percent(level, 0)} of the time, within chance?", not bad, said
    )


def _resists(report: Report, model: Report) -> Check | None:
    """Returns whether it is at least as good as the baselines at every rate of missing."""
    parts, metric = piece(model, "robustness"), report["headline"]
    names = list(parts[0].get("effective") or {}) if parts else []
    if not names:
        return None
    sign = 1 if report["more_is_better"] else -1
    worse: list[str] = []
    for name in names:
        found = [part["effective"][name][metric] for part in parts]
        for index, rate in enumerate(parts[0]["rates"]):
            one = merged_value([dict(zip(("value", "low", "high"), run[index], strict=True)) for run in found])
            far = real(one["high" if sign > 0 else "low"])
            if sign * (far if math.isfinite(far) else real(one["value"])) < 0:
                worse.append(f"{name} at {rate:g} ({number(real(one['value']), 3)})")
    said = f"worse than {listed(worse)}" if worse else f"compared with {listed(names)} on the same drop tables"
    return Check("Is it as good as the baselines at every rate of missing, within chance?", not worse, said)


def nothing(report: Report, model: Report) -> float:
    """Returns the headline metric of a prediction that ignores the input; NaN where it was not measured.

    Args:
        report: the dictionary.
        model: one of its models.
    """
    parts = piece(model, "prevalence")
    known = bool(parts) and parts[0].get(report["headline"]) is not None
    return real(over_runs(parts, report["headline"])["value"]) if known else math.nan


def _matter(report: Report, model: Report) -> list[Block]:
    """Returns which modalities matter."""
    metric = report["headline"]
    found = shares(model["table"], report["modalities"], metric, more_is_better=report["more_is_better"],
                   nothing=nothing(report, model))  # fmt: skip
    if len(found) < 2:
        return []
    by_mean = all(math.isfinite(one.mean) for one in found)
    found.sort(key=lambda one: -(one.mean if by_mean else one.lost) if math.isfinite(one.lost) else math.inf)
    columns = (Column("modality"), Column(f"{label(metric)} alone", "number"), Column("lost without it", "number"),
               Column("mean gain", "number"))  # fmt: skip
    rows = tuple((one.modality, number(one.alone), number(one.lost), number(one.mean)) for one in found)
    unit = "" if report["more_is_better"] else f" (a fall of the {label(metric)} counts as gain)"
    caption = (
        f"Gains in {label(metric)}{unit}. Mean gain: Shapley's value, over every order in which the modalities may "
        "come, starting from a prediction that ignores the input. Lost without it: when all the others are there. "
        "Much alone and little lost means that others can stand in."
    )
    data = Table(columns, rows)
    return [Text(_most(found, by_mean)), *_picture(found, by_mean, label(metric), caption, data)]


def _most(found: list[Share], by_mean: bool) -> str:
    """Returns which modalities matter most and least."""
    how = "on average over every order of arrival" if by_mean else "when it alone is missing"
    first, last = found[0], found[-1]
    figures = [one.mean if by_mean else one.lost for one in (first, last)]
    if not all(map(math.isfinite, figures)):
        return "Which modalities matter cannot be told: some subset has no row."
    return (f"The modality that matters most is {first.modality} (worth {number(figures[0], 3)} {how}), "
            f"the least {last.modality} ({number(figures[1], 3)}).")  # fmt: skip


def _picture(found: list[Share], by_mean: bool, metric: str, caption: str, data: Table) -> list[Block]:
    """Returns the bars, and the table behind them; or the table alone, where nothing can be drawn."""
    values = [(one.modality, one.mean if by_mean else one.lost) for one in found]
    if not any(math.isfinite(gain) for _, gain in values):
        return [data._replace(caption=caption)] if any(cell != DASH for row in data.rows for cell in row[1:]) else []
    bars = Bars("What each modality is worth", f"gain in {metric}",
                tuple((name, gain, math.nan, math.nan) for name, gain in values))  # fmt: skip
    return [Figures((Figure(bars, caption, data),))]
