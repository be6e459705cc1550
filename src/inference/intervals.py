"""Intervals for the mean paired difference, and a bound that holds at every number of pairs at once."""

import math
from typing import NamedTuple

from src.writing import decimals


class Interval(NamedTuple):
    """Two ends in the unit of the differences; infinite before anything is known."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{decimals(self.low)} to {decimals(self.high)}" if math.isfinite(self.low) else "no interval yet"


def around(mean: float, sd: float, n: int, bound: float, bias: float = 0.0) -> Interval:
    """mean +- (bound sd / sqrt(n) + bias); infinite where mean, sd or bound is not finite."""
    half = bound * sd / math.sqrt(n) if n else math.nan
    if not (math.isfinite(half) and math.isfinite(mean)):
        return Interval(-math.inf, math.inf)
    return Interval(mean - half - bias, mean + half + bias)


def t_sequence(n: int, alpha: float, g: float = 3.0) -> float:
    """Bound of the anytime-valid t-sequence: |T_n| stays below it at every n at once with probability 1 - alpha.

        c = ((1 + n g) / alpha^2)^(1/n),   bound = sqrt((n - 1) (c - 1) / (1 - c / (1 + n g)))

    Args:
        n: pairs.
        alpha: two-sided level; by symmetry a side errs in alpha / 2 of studies and half of those that err on both.
        g: prior variance of the effect in units of the variance of d, fixed beforehand; smaller is tighter at large n.
    Returns:
        In units of s / sqrt(n); inf where c >= 1 + n g, and below two pairs. Conservative at any finite n.
    Source: Lindon, Ham, Tingley and Bojinov (2022), arXiv 2210.08589; Wang and Ramdas (2023), arXiv 2310.03722.
    """
    spread = 1 + n * g
    c = (spread / alpha**2) ** (1 / n) if n > 1 else math.inf
    return math.inf if c >= spread else math.sqrt((n - 1) * (c - 1) / (1 - c / spread))
