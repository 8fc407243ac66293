"""What is known of one run, as JSON can hold it; a part that was not measured, or does not apply, is None."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything that a report says of one run.

    Attributes:
        name: of the run, for example its folder's.
        config: the model's configuration, as `AECFConfig.to_dict` has it.
        data: what the run's data.json says: settings, modalities, widths, rows and SHA-256 by part.
        recorded: what the run's metrics.json says: steps, epochs, seconds, versions.
        history: what it logged, one entry a validation.
        table: metrics by subset, as `SubsetTable.to_dict` has it; of calibrated outputs, where the run is calibrated.
        presence: part -> modality -> share of rows that have it; and how many rows have none.
        prevalence: metrics of predicting the training rows' frequencies, or mean, whatever the input.
        robustness: the curve over missing rates, with its drop tables' hashes.
        reliability: diagrams and errors before and after calibration.
        calibration: how it was fitted.
        conformal: prediction sets' coverage and size by pattern.
        monotonicity: how often more modalities made it worse.
        gate: whether the gate is used, and what it prefers.
        costs: parameters, times, memory, and how they were measured.
        protocol: what the evaluation did: seeds, resamples, levels, bins, devices.
    """

    name: str
    config: Facts
    data: Facts
    recorded: Facts
    table: Facts
    history: Sequence[Facts] = ()
    presence: Facts | None = None
    prevalence: Facts | None = None
    robustness: Facts | None = None
    reliability: Facts | None = None
    calibration: Facts | None = None
    conformal: Facts | None = None
    monotonicity: Facts | None = None
    gate: Facts | None = None
    costs: Facts | None = None
    protocol: Facts = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as strict JSON can hold it."""
        return plain({one.name: getattr(self, one.name) for one in dataclasses.fields(self)})


def plain(value: Any) -> Any:
    """Returns a value as strict JSON can hold it: NaN as None, an infinity as text, arrays as lists.

    >>> plain({"a": (1.0, float("nan"), float("inf"))})
    {'a': [1.0, None, 'inf']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(inside) for key, inside in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(inside) for inside in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def real(value: Any) -> float:
    """Returns a number that `plain` wrote.

    >>> real(None), real("inf"), real(1)
    (nan, inf, 1.0)
    """
    return math.nan if value is None else float(value)
