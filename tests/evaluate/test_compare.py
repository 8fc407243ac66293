"""Comparisons: figures against the table of subsets, p-values against their tests, refusals, and the two tables."""

import json
import math

import numpy as np
import pytest

from aecf_jax.data import Dataset, make_drops
from aecf_jax.errors import InputError
from aecf_jax.evaluate import (
    NetworkFigures,
    compare_models,
    comparison_latex,
    comparison_markdown,
    evaluate_subsets,
    network_figures,
    predict,
)
from aecf_jax.evaluate._network import COMPARED, FULL, MEAN, WORST
from aecf_jax.metrics import evaluate_predictions
from aecf_jax.stats import holm, paired_permutation, resample_counts
from tests.evaluate.test_lattice import KINDS, ROWS, small_data, small_model

LEAST = {"draws": 30, "batch_size": 1024}
HALF = "MCAR 0.5"


def figures_of(model, data, **options):
    return network_figures(model, data, make_drops(data, "mcar", rate=0.5), **(LEAST | options))


@pytest.mark.parametrize("kind", [*KINDS, "embedding"])
def test_figures_are_those_of_the_table_of_subsets_and_of_the_drop_table(kind):
    changes, label = KINDS.get(kind, ({"task_type": "embedding"}, None))
    model, data = small_model(**changes), small_data(label)
    found, table = figures_of(model, data), evaluate_subsets(model, data)
    drops = make_drops(data, "mcar", rate=0.5)
    dropped = evaluate_predictions(predict(model, drops.apply(data)).output, data.label, model.config.task_type)
    summary = table.summary()
    for metric in COMPARED[kind]:
        expected = [summary["full"], summary["mean_of_subsets"], summary["worst_single"]["metrics"], dropped]
        for seen, metrics in zip((FULL, MEAN, WORST, HALF), expected, strict=True):
            assert found.value[seen, metric] == pytest.approx(metrics[metric], nan_ok=True)
            assert found.draws[seen, metric].shape == (30,)
    for key, rows in found.rows.items():
        assert rows.mean() == pytest.approx(found.value[key])
    assert found.about["drop table"] == drops.hash


def test_draws_are_the_metrics_of_resampled_rows():
    model, data = small_model(), small_data()
    found = figures_of(model, data)
    drops, counts = make_drops(data, "mcar", rate=0.5), resample_counts(ROWS, 30, seed=0)
    rows = data.take(np.repeat(np.arange(ROWS), counts[7]))
    shown = drops.visible[np.repeat(np.arange(ROWS), counts[7])]
    expected = evaluate_subsets(model, rows).summary()
    dropped = evaluate_predictions(predict(model, rows, present=shown).output, rows.label, "classification")
    assert found.draws[FULL, "nll"][7] == pytest.approx(expected["full"]["nll"])
    assert found.draws[MEAN, "nll"][7] == pytest.approx(expected["mean_of_subsets"]["nll"])
    assert found.draws[HALF, "ece"][7] == pytest.approx(dropped["ece"])


def test_a_subset_that_no_row_has_is_left_out():
    data = small_data()
    present = data.present & [[True, True, False]]
    present[:, 0] |= ~present.any(1)
    rows = Dataset(data.features, data.label, present, num_classes=4)
    found = figures_of(small_model(), rows)
    assert math.isnan(found.value[FULL, "nll"])
    assert found.value[MEAN, "nll"] == pytest.approx(found.rows[MEAN, "nll"].mean())
    one = compare_models({"a": [found], "b": [figures_of(small_model(seed=1), rows)]})
    undefined = [d for d in one.differences if d.seen == FULL]
    assert all(math.isnan(d.p) and math.isnan(d.holm) for d in undefined)
    assert "| NLL | all modalities | a − b | – | – | – |" in comparison_markdown(one)
    json.dumps(one.to_dict(), allow_nan=False)


def planted(rng, seeds, shift=0.0, rows=300, kind="classes"):
    """Figures of networks whose NLL is `shift` higher; the seeds differ by a tenth as much as rows do."""
    hard = np.random.default_rng(0).gamma(1.0, 1.0, rows)
    counts = resample_counts(rows, 200, seed=0)
    networks = []
    for _ in range(seeds):
        own = hard + 0.1 * rng.normal(size=rows) + 0.03 * rng.normal() + shift
        about = {"rows": rows, "test data": "a" * 64, "drop table": "b" * 64, "draws": 200}
        key = (FULL, "nll")
        networks.append(NetworkFigures(kind, about, {key: own.mean()}, {key: counts @ own / rows}, {key: own}))
    return networks


def test_a_planted_difference_is_found_between_models_and_between_networks():
    rng = np.random.default_rng(0)
    seeds = compare_models({"a": planted(rng, 4), "b": planted(rng, 4, shift=0.2), "c": planted(rng, 4)})
    found = {(one.one, one.other): one for one in seeds.differences}
    assert found["a", "b"].holm < 0.01
    assert found["a", "c"].holm > 0.05
    assert found["a", "b"].estimate.high < 0
    assert found["a", "b"].test == "student"
    assert seeds.claims.startswith("Seeds and test rows both vary")
    once = compare_models({"a": planted(rng, 1), "b": planted(rng, 1, shift=0.2)})
    assert once.differences[0].holm < 0.01
    assert once.differences[0].test == "permutation"
    assert once.claims.startswith("One network each: a difference is one between these networks")
    mixed = compare_models({"a": planted(rng, 1), "b": planted(rng, 3)})
    assert mixed.differences[0].test == "student"
    assert mixed.claims.startswith("a: one network, whose seed is taken to matter as much as those of b")


def test_p_values_are_those_of_their_tests_and_corrected_for_all():
    rng = np.random.default_rng(0)
    models = {name: planted(rng, 1, shift) for name, shift in (("a", 0), ("b", 0.02), ("c", 0.01))}
    found = compare_models(models).differences
    key = (FULL, "nll")
    expected = [
        paired_permutation(models[one.one][0].rows[key] - models[one.other][0].rows[key], draws=10_000) for one in found
    ]
    assert [one.p for one in found] == expected
    assert [one.holm for one in found] == holm(np.array(expected)).tolist()
    assert found[0].estimate.value == pytest.approx(models["a"][0].value[key] - models["b"][0].value[key])


def test_one_model_alone_has_no_differences():
    found = compare_models({"model": planted(np.random.default_rng(0), 3)})
    assert found.differences == ()
    assert found.claims.startswith("3 networks of one model")
    assert "p (Holm)" not in comparison_markdown(found) + comparison_latex(found)


def test_other_rows_or_another_drop_table_are_refused_by_name():
    one, other = planted(np.random.default_rng(0), 2)
    for what, value, shown in (("drop table", "c" * 64, "bbbbbbbbbbbb; got cccccccccccc for b"), ("rows", 299, "299")):
        changed = NetworkFigures("classes", one.about | {what: value}, other.value, other.draws, other.rows)
        with pytest.raises(InputError, match=rf"`{what}` must be the same for all that is compared, .*{shown}"):
            compare_models({"a": [one], "b": [changed]})
    with pytest.raises(InputError, match="`models` must each have at least one network"):
        compare_models({"a": [one], "b": []})


def test_tables_as_markdown_and_latex():
    rng = np.random.default_rng(0)
    found = compare_models({"plain_a": planted(rng, 3), "50 %": planted(rng, 3, shift=0.3)})
    markdown = comparison_markdown(found).splitlines()
    assert markdown[:2] == ["| metric | seen | plain_a (3 seeds) | 50 % (3 seeds) |", "| --- | --- | --: | --: |"]
    assert markdown[4:6] == ["| metric | seen | difference | ± interval | p | p (Holm) |",
                             "| --- | --- | --- | --: | --: | --: |"]  # fmt: skip
    assert markdown[6].startswith("| NLL | all modalities | plain_a − 50 % | -0.")
    assert markdown[6].endswith("* |")
    latex = comparison_latex(found)
    assert r"metric & seen & plain\_a (3 seeds) & 50 \% (3 seeds) \\" in latex
    assert r"NLL & all modalities & plain\_a $-$ 50 \% & -0." in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\bottomrule") == 2
    assert "±" not in "".join(line for line in latex.splitlines() if not line.startswith("%"))
