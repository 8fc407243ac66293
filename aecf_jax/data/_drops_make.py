"""Drop tables by mechanism: at random, depending on what is seen or on what is hidden, one at a time, in bursts.

Every decision is "uniform < probability", of a uniform from SHAKE-256 and of a probability that takes elementwise
float64 operations in a fixed order alone. Both are the same on every machine and with every version of NumPy, whose own
generators promise neither, and whose sums and exponentials differ in the last digit from machine to machine.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from aecf_jax.data._checks import described_rows, row_blocks
from aecf_jax.data._dataset import Dataset
from aecf_jax.data._drops import DropTable
from aecf_jax.errors import nearest, require

Mechanism = Literal["mcar", "mar", "mnar", "exclusive", "bursts"]
MECHANISMS = get_args(Mechanism)

_OPTIONS = {"mar": ("observed", "strength"), "mnar": ("strength",), "bursts": ("length",)}
"""Mechanism -> the arguments that it alone takes."""


def make_drops(
    dataset: Dataset,
    mechanism: Mechanism,
    *,
    rate: float | Mapping[str, float] | None = None,
    seed: int = 0,
    allow_empty: bool = False,
    observed: str | None = None,
    strength: float | None = None,
    length: int | None = None,
) -> DropTable:
    """Returns a drop table for the rows of a data set; docs/drops.md has the formulas.

    mcar: every modality of every row is hidden with probability `rate`, whatever the data.
    mar: with a probability that rises with the row's place in a projection of the `observed` modality, which is never
    hidden; of mean `rate` over the rows that have both, and `rate` where only the other is there.
    mnar: with a probability that rises with the row's place in a projection of what is hidden itself; of mean `rate`.
    exclusive: a row keeps exactly one of its modalities, each as likely, with probability `rate` (1 if not given).
    bursts: as mcar, but one draw holds for `length` consecutive rows; the first burst starts at the first row.

    Rates are of the mechanism alone. Where a row may not be empty, rows are drawn from the mechanism's distribution
    conditioned on a modality being visible, which hides less than `rate`; a row that has none in the data stays empty.
    The same seed at a higher rate hides mostly more of the same.

    Args:
        dataset: the rows. What they lack stays absent.
        mechanism: one of the above.
        rate: probability of being hidden, for all modalities, or by name (0 for those not named).
        seed: of the draw.
        allow_empty: whether a row that has a modality may be left with none.
        observed: for mar, the modality that the others depend on.
        strength: for mar and mnar, from 0 (no dependence) to 1, the default: the strongest that keeps the rate, where
            the probability reaches 0 or 1 at one end.
        length: for bursts, rows in one.

    Raises:
        InputError: for an argument that is missing, out of range, or not of this mechanism; or if a row would always
            be empty.

    >>> import numpy as np
    >>> rows = Dataset({m: np.ones((4, 2)) for m in "ab"}, np.arange(4), np.ones((4, 2), bool))
    >>> make_drops(rows, "mcar", rate=0.5).visible.tolist()
    [[True, True], [True, True], [True, False], [True, True]]
    """
    require(mechanism in MECHANISMS, "mechanism", f"be one of {', '.join(MECHANISMS)}", mechanism,
            nearest(str(mechanism), MECHANISMS))  # fmt: skip
    require(isinstance(seed, int) and seed >= 0, "seed", "be a whole number from 0", seed)
    options = _options(dataset, mechanism, {"observed": observed, "strength": strength, "length": length})
    rates = _rates(dataset, mechanism, rate, options.get("observed"))
    if mechanism == "exclusive":
        hidden = _exclusive(dataset.present, next(iter(rates.values())), seed)
    else:
        blocks = np.arange(len(dataset)) // options.get("length", 1)
        uniform = np.stack([_uniform(len(dataset), seed, "hide", name)[blocks] for name in dataset.modalities], axis=1)
        hidden = _hidden(_probabilities(dataset, rates, options, seed), uniform, dataset.present, allow_empty)
    one = len(set(rates.values())) == 1
    parameters = {"rate": next(iter(rates.values())) if one else rates, **options}
    return DropTable(dataset.modalities, dataset.present, dataset.present & ~hidden, mechanism, parameters, seed,
                     allow_empty)  # fmt: skip


def _options(dataset: Dataset, mechanism: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments that a mechanism takes, checked."""
    takes = _OPTIONS.get(mechanism, ())
    for name, value in given.items():
        require(name in takes or value is None, name, f"not be given for {mechanism} drops", value)
    options = {name: 1.0 if name == "strength" and given[name] is None else given[name] for name in takes}
    if "observed" in options:
        require(options["observed"] in dataset.modalities, "observed", f"be a modality of {dataset.name}",
                options["observed"], nearest(str(options["observed"]), dataset.modalities))  # fmt: skip
        require(len(dataset.modalities) > 1, dataset.name, "have a modality beside the observed one", "none")
    if "strength" in options:
        options["strength"] = _share("strength", options["strength"])
    if "length" in options:
        length = options["length"]
        require(isinstance(length, int) and length >= 1, "length", "be a number of rows from 1", length)
    return options


def _rates(dataset: Dataset, mechanism: str, rate: Any, observed: str | None) -> dict[str, float]:
    """Returns the rate of every modality that may be hidden, in the data's order."""
    names = [name for name in dataset.modalities if name != observed]
    exclusive = mechanism == "exclusive"
    rate = 1.0 if exclusive and rate is None else rate
    require(rate is not None, "rate", f"be given for {mechanism} drops", rate)
    if not isinstance(rate, Mapping):
        return dict.fromkeys(names, _share("rate", rate))
    require(not exclusive, "rate", "be one number for exclusive drops", dict(rate))
    for name in rate:
        require(name in names, "rate", f"name modalities that may be hidden, {', '.join(names)}", str(name))
    return {name: _share(f"rate of {name}", rate.get(name, 0.0)) for name in names}


def _share(name: str, value: Any) -> float:
    """Returns a number from 0 to 1."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    require(number and 0 <= float(value) <= 1, name, "be a number from 0 to 1", value)
    return float(value)


def _uniform(count: int, seed: int, *purpose: str) -> Float[np.ndarray, "count"]:
    """Returns multiples of 2^-53 in [0, 1), from 53 bits each of SHAKE-256 (FIPS 202) of the seed and the purpose."""
    words = np.frombuffer(
        hashlib.shake_256(json.dumps(["aecf_jax drops", seed, *purpose]).encode()).digest(8 * count), "<u8"
    )
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _probabilities(
    dataset: Dataset, rates: Mapping[str, float], options: Mapping[str, Any], seed: int
) -> Float[np.ndarray, "rows modality"]:
    """Returns how likely the mechanism hides each modality of each row: rate + strength min(rate, 1 - rate) place."""
    out = np.zeros((len(dataset), len(dataset.modalities)))
    has = dict(zip(dataset.modalities, dataset.present.T, strict=True))
    totals: dict[str, np.ndarray] = {}
    for column, name in enumerate(dataset.modalities):
        rate, cause = rates.get(name, 0.0), options.get("observed", name)
        out[:, column] = rate
        if "strength" in options and rate:
            if cause not in totals:
                totals[cause] = _projection(dataset.features[cause], has[cause], cause, seed)
            place = _place(totals[cause], has[name] & has[cause])
            out[:, column] += options["strength"] * min(rate, 1 - rate) * place
    return out


def _projection(
    array: Float[np.ndarray, "rows width"], has: Bool[np.ndarray, "rows"], name: str, seed: int
) -> Float[np.ndarray, "rows"]:
    """Returns the sum of each row's features, every feature with its random sign; 0 where there are none."""
    signs = np.where(_uniform(array.shape[1], seed, "signs", name) < 0.5, -1.0, 1.0)
    total = np.zeros(len(array))
    for where, rows in row_blocks(array):
        # Column by column: NumPy's own sum adds in an order that depends on the machine.
        for sign, column in zip(signs, np.where(has[where][:, None], rows, 0).T.astype(np.float64), strict=True):
            total[where] += sign * column
    return total


def _place(values: Float[np.ndarray, "rows"], among: Bool[np.ndarray, "rows"]) -> Float[np.ndarray, "rows"]:
    """Returns where each row stands among some: of n the one of rank k is at (2 k - 1 - n) / n; 0 for all others.

    Equal values share their mean rank. Places lie between -1 and 1, and their mean is 0.
    """
    _, index, count = np.unique(values[among], return_inverse=True, return_counts=True)
    rows, twice_the_rank = int(among.sum()), 2 * np.cumsum(count) - count + 1
    place = np.zeros(len(values))
    place[among] = (twice_the_rank[index] - 1 - rows) / max(rows, 1)
    return place


def _hidden(
    probability: Float[np.ndarray, "rows modality"],
    uniform: Float[np.ndarray, "rows modality"],
    present: Bool[np.ndarray, "rows modality"],
    allow_empty: bool,
) -> Bool[np.ndarray, "rows modality"]:
    """Returns what is hidden or absent, drawn independently; unless empty rows are allowed, given that one is visible.

    Modality by modality: while none is visible yet, the next is hidden with probability
    p_j (1 - P_(j+1)) / (1 - P_j), P_j = p_j p_(j+1) ... of the modalities present, which is the conditional one.
    """
    probability = np.where(present, probability, 1.0)
    if allow_empty:
        return uniform < probability
    # P_j, the probability that all from the j-th on are hidden; 1 after the last.
    all_hidden = np.cumprod(np.pad(probability, ((0, 0), (0, 1)), constant_values=1.0)[:, ::-1], axis=1)[:, ::-1]
    wrong = np.flatnonzero(present.any(axis=1) & (all_hidden[:, 0] >= 1))
    require(not len(wrong), "rate", "leave every row a modality",
            f"1 for all that is present in {described_rows(wrong)}", "Lower it, or allow empty rows.")  # fmt: skip
    hidden = np.ones_like(present)
    for column in range(present.shape[1]):
        rest, both = 1 - all_hidden[:, column + 1], 1 - all_hidden[:, column]
        given_one = probability[:, column] * np.divide(rest, both, out=np.ones_like(rest), where=both > 0)
        empty = hidden[:, :column].all(axis=1)
        hidden[:, column] = uniform[:, column] < np.where(empty, given_one, probability[:, column])
    return hidden


def _exclusive(present: Bool[np.ndarray, "rows modality"], rate: float, seed: int) -> Bool[np.ndarray, "rows modality"]:
    """Returns what is hidden or absent where a row keeps one of its modalities, with a probability, or else all."""
    rows = len(present)
    # Below the number present: the largest uniform is far enough from 1 for the product not to be rounded up to it.
    kept = np.floor(_uniform(rows, seed, "keep") * present.sum(axis=1))
    one = _uniform(rows, seed, "exclusive") < rate
    return ~present | (one[:, None] & (np.cumsum(present, axis=1) - 1 != kept[:, None]))
