"""A comparison as two tables, of figures and of differences: cells, and the same as Markdown and as LaTeX."""

import math

from aecf_jax.evaluate._compare import Comparison
from aecf_jax.stats import Estimate

METRIC_NAMES = {
    "accuracy": "accuracy", "map": "mAP", "nll": "NLL", "brier": "Brier", "ece": "ECE", "rmse": "RMSE", "mae": "MAE",
    "cosine_similarity": "cosine",
}  # fmt: skip
"""Metric -> how a table calls it."""

Grid = list[list[str]]
"""Rows of cells, the first of headings."""

_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
          "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "<": "$<$", ">": "$>$",
          "−": "$-$", "–": "--"}  # fmt: skip


def figures_grid(comparison: Comparison) -> Grid:
    """Returns a row for each figure, with every model's mean ± half its interval."""
    rows = [["metric", "seen", *(f"{name} ({_seeds(count)})" for name, count in comparison.seeds.items())]]
    for seen, metric in _ordered(comparison):
        cells = [with_half(found[seen, metric]) for found in comparison.figures.values()]
        rows.append([METRIC_NAMES[metric], seen, *cells])
    return rows


def differences_grid(comparison: Comparison) -> Grid:
    """Returns a row for each paired difference; an asterisk marks those whose corrected p-value is small enough."""
    rows = [["metric", "seen", "difference", "± interval", "p", "p (Holm)"]]
    order = {key: place for place, key in enumerate(_ordered(comparison))}
    # Sorting keeps the order of pairs.
    for one in sorted(comparison.differences, key=lambda one: order[one.seen, one.metric]):
        mark = "*" if one.holm < 1 - comparison.level else ""
        pair = f"{one.one} − {one.other}"
        rows.append(
            [METRIC_NAMES[one.metric], one.seen, pair, with_half(one.estimate, signed=True), _p(one.p),
             f"{_p(one.holm)}{mark}"]
        )  # fmt: skip
    return rows


def about_lines(comparison: Comparison, part: str = "test") -> list[str]:
    """Returns what stands below the tables: what is compared, how, and what may be concluded.

    Args:
        comparison: of models.
        part: whose rows they were compared on.
    """
    about = comparison.about
    lines = [
        f"{about['rows']} {part} rows ({_hash(about['test data'])}), drop table {_hash(about['drop table'])}, "
        f"{about['draws']} resamples; ± is half a {100 * comparison.level:g} % interval."
    ]
    if comparison.differences:
        tests = {one.test for one in comparison.differences}
        kinds = {"student": "Student's", "permutation": "permutation of rows"}
        used = " and ".join(text for test, text in kinds.items() if test in tests)
        lines.append(
            f"{len(comparison.differences)} tests ({used}), Holm-corrected; * marks p < {1 - comparison.level:.2g}."
        )
    return [*lines, comparison.claims]


def comparison_markdown(comparison: Comparison, part: str = "test") -> str:
    """Returns both tables as Markdown.

    Args:
        comparison: of models.
        part: whose rows they were compared on.
    """
    grids = [figures_grid(comparison), *([differences_grid(comparison)] if comparison.differences else [])]
    return "\n\n".join([*(_markdown(grid) for grid in grids), *about_lines(comparison, part)]) + "\n"


def comparison_latex(comparison: Comparison) -> str:
    r"""Returns both tables as LaTeX, for the package booktabs; the sentences as comments."""
    grids = [figures_grid(comparison), *([differences_grid(comparison)] if comparison.differences else [])]
    return "\n\n".join([*(f"% {line}" for line in about_lines(comparison)), *(_latex(grid) for grid in grids)]) + "\n"


def _ordered(comparison: Comparison) -> list[tuple[str, str]]:
    """Returns what is seen and the metric of each row, metric by metric."""
    keys = list(next(iter(comparison.figures.values())))
    metrics = list(dict.fromkeys(metric for _, metric in keys))
    return sorted(keys, key=lambda key: metrics.index(key[1]))


def with_half(estimate: Estimate, *, signed: bool = False) -> str:
    """Returns a figure ± half its interval; a dash where it is not defined, the figure alone where nothing varies.

    Args:
        estimate: the figure.
        signed: whether a positive one has a sign.

    >>> with_half(Estimate(0.5, 0.4, 0.6))
    '0.5000 ± 0.1000'
    """
    if math.isnan(estimate.value):
        return "–"
    half = (estimate.high - estimate.low) / 2
    return f"{estimate.value:{'+' if signed else ''}.4f}" + ("" if math.isnan(half) else f" ± {half:.4f}")


def _p(p: float) -> str:
    """Returns a p-value with three decimals."""
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def _seeds(count: int) -> str:
    """Returns how many networks of a model there are."""
    return "1 seed" if count == 1 else f"{count} seeds"


def _hash(text: str) -> str:
    """Returns the beginning of a hash."""
    return text[:12]


def _markdown(grid: Grid) -> str:
    """Returns one table, numbers to the right."""
    rule = ["---" if heading in ("metric", "seen", "difference") else "--:" for heading in grid[0]]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in [grid[0], rule, *grid[1:]]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _latex(grid: Grid) -> str:
    """Returns one table."""
    columns = "".join("l" if heading in ("metric", "seen", "difference") else "r" for heading in grid[0])
    lines = [" & ".join("".join(_LATEX.get(c, c) for c in cell) for cell in row) + r" \\" for row in grid]
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"])
