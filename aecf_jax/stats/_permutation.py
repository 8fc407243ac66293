"""Tests: whether two models differ on the same rows, and what is left of many such tests at once."""

import numpy as np
from jaxtyping import Float

from aecf_jax.errors import require

_BLOCK = 2**22
_ROUNDING = 1e-12


def paired_permutation(differences: Float[np.ndarray, "rows"], *, draws: int = 10_000, seed: int = 0) -> float:
    """Returns the two-sided p-value of no difference: how often random signs give a mean at least as far from 0.

    p = (1 + number of draws at least as far) / (1 + draws), which is valid for any number of draws and never 0.

    Args:
        differences: of the two models in a value per row, such as the negative log-likelihood or being right.
        draws: number of random assignments of signs.
        seed: the same seed gives the same signs.

    Raises:
        InputError: if there is no row or no draw, or a difference is not finite.

    Source: Fisher 1935; Phipson and Smyth 2010 for the 1 that is added.

    >>> import numpy as np
    >>> paired_permutation(np.zeros(5))
    1.0
    >>> paired_permutation(np.ones(30)) < 0.001
    True
    """
    differences = np.asarray(differences, np.float64)
    require(differences.ndim == 1 and differences.size > 0, "differences", "be one a row", differences.shape)
    require(bool(np.isfinite(differences).all()), "differences", "be finite", "NaN or infinity")
    require(draws > 0, "draws", "be positive", draws)
    generator = np.random.default_rng(seed)
    total, size = differences.sum(), np.abs(differences).sum()
    # Sums that are equal but for rounding are as far as each other.
    bound = abs(total) - _ROUNDING * size
    block = max(1, _BLOCK // len(differences))
    as_far = 0
    for start in range(0, draws, block):
        flips = generator.integers(0, 2, (min(block, draws - start), len(differences)), np.int8)
        as_far += int(np.sum(np.abs(total - 2 * (flips @ differences)) >= bound))
    return (1 + as_far) / (1 + draws)


def holm(pvalues: Float[np.ndarray, "tests"]) -> Float[np.ndarray, "tests"]:
    """Returns p-values adjusted for their number: rejecting those below α makes any false rejection at most α likely.

    Args:
        pvalues: one a test.

    Raises:
        InputError: if one is not in [0, 1].

    Source: Holm 1979.

    >>> import numpy as np
    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    pvalues = np.asarray(pvalues, np.float64)
    require(bool(np.all((pvalues >= 0) & (pvalues <= 1))), "pvalues", "be in [0, 1]", pvalues)
    order = np.argsort(pvalues, kind="stable")
    steps = pvalues[order] * np.arange(len(pvalues), 0, -1)
    adjusted = np.empty_like(pvalues)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
