"""What the pairs seen so far prove under a design, and how many more would decide."""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from src.inference.design import Design
from src.inference.pairs import Paired
from src.writing import decimals

FAR = 10_000  # pairs at which the search for a decision ends where the design has no last look
LARGEST = 100  # pairs of a new study at most: the bounds of a larger one take seconds


class Verdict(StrEnum):
    """What can be said of A against B in a metric of which less is better; several hold at once."""

    EQUIVALENT = "equivalent"
    NOT_WORSE = "not worse"
    BETTER = "better"
    BETTER_BY_MARGIN = "better by more than the margin"
    WORSE = "worse"
    WORSE_BY_MARGIN = "worse by more than the margin"
    UNDECIDED = "undecided"


DECISIONS = {Verdict.EQUIVALENT, Verdict.BETTER, Verdict.WORSE}
# Each verdict with the stronger ones that include it.
IMPLIED_BY = {
    Verdict.NOT_WORSE: {Verdict.EQUIVALENT, Verdict.BETTER},
    Verdict.BETTER: {Verdict.BETTER_BY_MARGIN},
    Verdict.WORSE: {Verdict.WORSE_BY_MARGIN},
}


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


@dataclass(frozen=True)
class Judgement:
    """What pairs prove, with what it rests on.

    pairs, design, bias: see `judge`.
    verdicts: all that hold. UNDECIDED where neither equivalence nor a direction holds; NOT_WORSE may stand beside it.
    interval: for equivalence and `not worse`, one-sided level design.level.
    directional: for better and worse, one-sided level design.level / 2.
    """

    pairs: Paired
    design: Design
    bias: float
    verdicts: tuple[Verdict, ...]
    interval: Interval
    directional: Interval

    def proves(self, verdict: Verdict) -> bool:
        return verdict in self.verdicts

    @property
    def stated(self) -> list[Verdict]:
        """The verdicts without those that a stronger one includes."""
        return [each for each in self.verdicts if not IMPLIED_BY.get(each, set()).intersection(self.verdicts)]

    @property
    def telling(self) -> Interval:
        """The interval on which the verdict rests: the directional one where a direction is proven."""
        return self.directional if {Verdict.BETTER, Verdict.WORSE}.intersection(self.verdicts) else self.interval

    @property
    def provable_margin(self) -> float:
        """The smallest margin at which these pairs show equivalence; inf before the first look.

        It is valid though chosen after the data, because the interval holds for all margins at once.
        """
        return max(-self.interval.low, self.interval.high)

    @property
    def pairs_needed(self) -> int | None:
        """How many more pairs decide if mean and sd stay as they are, a plug-in guess; 0 once decided.

        None where the last look does not suffice, or no sd is known.
        """
        n = fewest(lambda n: self.decides(n, self.design), self.pairs.n, self.design.n_max or FAR)
        return None if n is None else n - self.pairs.n

    @property
    def pairs_of_new_study(self) -> int | None:
        """The smallest n_max of a study of new seeds that decides if mean and sd are these; None above LARGEST."""
        return fewest(lambda n: self.decides(n, replace(self.design, n_max=n)), self.design.n0, LARGEST)

    def decides(self, n: int, design: Design) -> bool:
        """Whether n pairs of this mean and sd decide under a design."""
        return not judge(replace(self.pairs, n=n), design, self.bias).proves(Verdict.UNDECIDED)


def fewest(decides: Callable[[int], bool], least: int, most: int) -> int | None:
    """The smallest number of pairs from least to most that decides, by bisection; None where most does not."""
    return least + bisect_left(range(least, most), True, key=decides) if decides(most) else None


def judge(pairs: Paired, design: Design, bias: float = 0.0) -> Judgement:
    """What n pairs prove under the design, at any of its looks.

        equivalent: the interval lies within +-delta;   not worse: its upper end lies below +delta
        better, worse: the directional interval excludes 0;   by more than the margin: it excludes -+delta too

    Args:
        pairs: the differences A - B of the first n seeds, in the unit of design.margin.
        design: fixed before the first of them.
        bias: what the mean difference may be off by, however many pairs there are, in the same unit; both intervals
            are wider by it on each side.
    Returns:
        Over all looks and all comparisons a false equivalence has probability at most alpha, a false `not worse` too, a
        false direction alpha / 2 a side, whatever the rule of stopping, for iid normal differences. Symmetric heavy
        tails keep the level, skew does not: of log-normal differences (sigma 1, n_max 10, alpha .05, margin = sd) 8 %
        are called different at mean 0, and 16 % equivalent at mean = margin.
    Raises:
        ValueError: more pairs than design.n_max.
    Source: Jennison and Turnbull (1989), J. R. Statist. Soc. B 51, 305; without n_max, calibrate.t_sequence.
    """
    interval, directional = (
        around(pairs.mean, pairs.sd, pairs.n, design.bound(pairs.n, level), bias)
        for level in (design.level, design.level / 2)
    )
    margin = design.margin
    proven = {
        Verdict.EQUIVALENT: -margin < interval.low and interval.high < margin,
        Verdict.NOT_WORSE: interval.high < margin,
        Verdict.BETTER: directional.high < 0,
        Verdict.BETTER_BY_MARGIN: directional.high < -margin,
        Verdict.WORSE: directional.low > 0,
        Verdict.WORSE_BY_MARGIN: directional.low > margin,
    }
    found = tuple(verdict for verdict, holds in proven.items() if holds)
    verdicts = found if DECISIONS.intersection(found) else (*found, Verdict.UNDECIDED)
    return Judgement(pairs, design, bias, verdicts, interval, directional)
