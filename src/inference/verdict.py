"""What the pairs seen so far prove under a design, and how many more would decide."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from src.inference.design import Design
from src.inference.intervals import Interval, around
from src.inference.pairs import Paired

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


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on; dataclasses.asdict makes it data.

    verdicts: all that hold. UNDECIDED where neither equivalence nor a direction holds; NOT_WORSE may stand beside it.
    interval: for equivalence and `not worse`, one-sided level design.level.
    directional: for better and worse, one-sided level design.level / 2.
    provable_margin: the smallest margin at which these pairs show equivalence; inf before the first look. It is valid
        though chosen after the data, because the interval holds for all margins at once.
    pairs_needed: how many more pairs decide if mean and sd stay as they are, a plug-in guess; 0 once decided, None
        where the last look does not suffice or no sd is known.
    """

    verdicts: tuple[Verdict, ...]
    interval: Interval
    directional: Interval
    provable_margin: float
    pairs_needed: int | None
    pairs: Paired
    design: Design

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
    Source: Jennison and Turnbull (1989), J. R. Statist. Soc. B 51, 305; without n_max, intervals.t_sequence.
    """
    verdicts, interval, directional = _look(pairs, pairs.n, design, bias)
    at = fewest(lambda n: _decides(pairs, n, design, bias), pairs.n, design.n_max or FAR)
    provable = max(-interval.low, interval.high)
    return Judgement(verdicts, interval, directional, provable, None if at is None else at - pairs.n, pairs, design)


def pairs_of_new_study(judged: Judgement, bias: float = 0.0) -> int | None:
    """The smallest n_max of a study of new seeds that decides if their mean and sd are these; None above LARGEST.

    A plug-in guess, as pairs_needed; bias as in judge().
    """
    design = judged.design
    return fewest(lambda n: _decides(judged.pairs, n, replace(design, n_max=n), bias), design.n0, LARGEST)


def fewest(decides: Callable[[int], bool], least: int, most: int) -> int | None:
    """The smallest number of pairs from least to most that decides, by bisection; None where most does not."""
    return least + bisect_left(range(least, most), True, key=decides) if decides(most) else None


def _decides(pairs: Paired, n: int, design: Design, bias: float) -> bool:
    return Verdict.UNDECIDED not in _look(pairs, n, design, bias)[0]


def _look(pairs: Paired, n: int, design: Design, bias: float) -> tuple[tuple[Verdict, ...], Interval, Interval]:
    """Verdicts and both intervals of a look at n pairs of this mean and sd."""
    interval, directional = (
        around(pairs.mean, pairs.sd, n, design.bound(n, level)).wider(bias)
        for level in (design.level, design.level / 2)
    )
    return _verdicts(interval, directional, design.margin), interval, directional


def _verdicts(interval: Interval, directional: Interval, margin: float) -> tuple[Verdict, ...]:
    proven = {
        Verdict.EQUIVALENT: -margin < interval.low and interval.high < margin,
        Verdict.NOT_WORSE: interval.high < margin,
        Verdict.BETTER: directional.high < 0,
        Verdict.BETTER_BY_MARGIN: directional.high < -margin,
        Verdict.WORSE: directional.low > 0,
        Verdict.WORSE_BY_MARGIN: directional.low > margin,
    }
    found = tuple(verdict for verdict, holds in proven.items() if holds)
    return found if DECISIONS.intersection(found) else (*found, Verdict.UNDECIDED)
