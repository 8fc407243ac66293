"""`docs/metrics.md` has one row for every name that is returned, and its example prints what it says."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from aecf_jax import stats
from aecf_jax.metrics import calibration_metrics, evaluate_predictions

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
OUTPUT, WEIGHTS = np.eye(4), np.full((4, 2), 0.5)
CLASS, LABEL = np.arange(4), np.eye(4, dtype=int)


def rows_of(title):
    section = next(part for part in PAGE.split("\n## ") if part.startswith(title))
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def in_general(names):
    return {re.sub(r"_mod_\d+$", "_mod_i", name) for name in names}


WEIGHT_KEYS = set(evaluate_predictions(OUTPUT, CLASS, "classification", weights=WEIGHTS)) - set(
    evaluate_predictions(OUTPUT, CLASS, "classification")
)
RETURNED = {
    "Classes": evaluate_predictions(OUTPUT, CLASS, "classification"),
    "Labels": evaluate_predictions(OUTPUT, LABEL, "classification"),
    "Calibration": calibration_metrics(OUTPUT, CLASS) | calibration_metrics(OUTPUT, LABEL),
    "Values": evaluate_predictions(OUTPUT, OUTPUT, "regression"),
    "Embeddings": evaluate_predictions(OUTPUT, OUTPUT, "embedding") | evaluate_predictions(OUTPUT, CLASS, "embedding"),
    "The gate": WEIGHT_KEYS,
    "How sure": [name for name, value in vars(stats).items() if callable(value) and name[0].islower()],
}


@pytest.mark.parametrize("title", RETURNED)
def test_every_name_has_one_row(title):
    rows = rows_of(title)
    assert len(rows) == len(set(rows))
    assert set(rows) == in_general(RETURNED[title])


def test_the_example_prints_what_stands_below_it():
    code, printed = (re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)[1] for kind in ("python", "text"))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert out.getvalue() == printed
