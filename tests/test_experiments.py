"""Recipes say how they are run and what they give, and the check of a fresh run against that can fail."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "experiments"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def recipe():
    module = load("recipe")
    sys.modules["recipe"] = module  # as where a recipe runs as a script
    yield module
    del sys.modules["recipe"]


@pytest.mark.parametrize("name", ["digits", "avmnist"])
def test_a_header_has_its_command_hardware_minutes_and_figures(recipe, name):
    header = load(name).__doc__
    for line in (f"Command:   python experiments/{name}.py", "Hardware:  ", "Minutes:   "):
        assert line in header
    figures = recipe.expected_figures(header)
    assert len(figures) >= 5
    assert all(0 <= figure.mean <= 2 and figure.spread >= 0 for figure in figures.values())


def test_the_header_of_calibration_says_that_patterns_cost_nothing(recipe):
    header = load("calibration").__doc__
    assert "Command:   python experiments/calibration.py" in header
    figures = recipe.expected_figures(header)
    assert figures["yeast, change, all patterns, upper"].mean < 0
    for name in ("yeast", "avmnist"):
        assert figures[f"{name}, change, all patterns"].mean < 0
        assert figures[f"{name}, patterns above by more than noise"] == (0, 0)


def test_figures_are_printed_as_they_are_read(recipe):
    figures = {"accuracy, both": recipe.Figure(0.5, 0.25), "NLL": recipe.Figure(1.125, 0.0)}
    assert recipe.expected_figures(f"Header:\n\n{recipe.show(figures)}\n") == figures


def test_means_and_spreads_are_over_seeds(recipe):
    figures = recipe.summarized([{"a": 1.0}, {"a": 3.0}])
    # Two numbers at a distance of 2 have a standard deviation of the square root of 2.
    assert figures["a"] == pytest.approx((2.0, 2**0.5))


@pytest.mark.parametrize(
    ("fresh", "problem"),
    [
        ({"a": (0.50, 0.01)}, None),
        ({"a": (0.52, 0.01)}, None),
        ({"a": (0.60, 0.01)}, "a: 0.600, header 0.500"),
        ({"a": (float("nan"), 0.01)}, "a: nan, header 0.500"),
        ({"b": (0.50, 0.01)}, "a is in the header, but was not measured"),
        ({"a": (0.50, 0.01), "b": (0.50, 0.01)}, "b was measured, but is not in the header"),
    ],
)
def test_a_fresh_run_that_differs_by_more_than_chance_is_told(recipe, fresh, problem):
    fresh = {name: recipe.Figure(*figure) for name, figure in fresh.items()}
    found = recipe.disagreements(fresh, {"a": recipe.Figure(0.5, 0.01)}, seeds=5)
    if problem is None:
        assert found == []
    else:
        assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "Command:   python experiments/check.py"), (["comparison"], "comparison.py has no figures of seeds")],
)
def test_checking_what_cannot_be_checked_explains_itself(names, said):
    command = [sys.executable, FOLDER / "check.py", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stdout
