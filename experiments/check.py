"""Runs a recipe afresh and compares it with the figures in its own header; exits with 1 where they differ.

Command:   python experiments/check.py digits [--seeds 5]
"""

import inspect
import sys

import recipe


def main() -> int:
    """Returns 0 if the fresh run agrees with the header, else 1."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    module = recipe.load(sys.argv.pop(1))
    if inspect.signature(module.main).return_annotation is None:
        print(f"{module.__name__}.py has no figures of seeds that could be compared: run it by itself")
        return 2
    figures, seeds = module.main()
    problems = recipe.disagreements(figures, recipe.expected_figures(module.__doc__), seeds=seeds)
    print("\n".join(problems) or f"agrees with the header of {module.__name__}.py")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
