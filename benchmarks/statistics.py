"""Figures over rounds: the median and the range, and ratios taken within a round before their median."""

import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Spread(NamedTuple):
    """A median and what lies around it."""

    median: float
    low: float
    high: float

    def show(self, digits: int = 0) -> str:
        """`median [low..high]`."""
        return f"{self.median:,.{digits}f} [{self.low:,.{digits}f}..{self.high:,.{digits}f}]"


def spread(values: Iterable[float]) -> Spread:
    """Median, minimum and maximum.

    Raises:
        ValueError: there are no values.
    """
    values = list(values)
    if not values:
        raise ValueError("a spread needs at least one value. Received: none. Measure at least one round.")
    return Spread(statistics.median(values), min(values), max(values))


def paired_ratio(values: Mapping[int, float], baseline: Mapping[int, float]) -> Spread | None:
    """Ratio to the baseline of the same round, then its spread over the rounds that have both; None without any.

        median_r( values[r] / baseline[r] ),   not   median(values) / median(baseline)

    Neighbours in time have the machine's speed in common, so a slow round cancels.

    Args:
        values: {round: value}.
        baseline: {round: value}, not 0.
    """
    shared = values.keys() & baseline.keys()
    return spread(values[number] / baseline[number] for number in shared) if shared else None
