"""What the pairs seen so far prove under a design, and how many more would decide."""

from bisect import bisect_left
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


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it rests on; dataclasses.asdict makes it data.

    verdicts: all that hold. UNDECIDED where neither equivalence nor a direction does; NOT_WORSE may stand beside it.
    interval: for equivalence and `not worse`, one-sided level alpha = design.alpha / design.comparisons.
    directional: for better and worse, one-sided level alpha / 2.
    provable_margin: the smallest margin at which these pairs show equivalence. Valid though chosen after the data, as
        the interval holds for all margins at once; inf before the first look.
    pairs_needed: how many more pairs decide if mean and sd stay as they are, a plug-in guess; 0 once decided, None
        where the last look does not suffice or no sd is known.
    """

    verdicts: tuple[Verdict, ...]
    interval: Interval
    directional: Interval
    provable_margin: float
    pairs_needed: int | None
    alpha: float
    pairs: Paired
    design: Design


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

    def decides(n: int) -> bool:
        return Verdict.UNDECIDED not in _look(pairs, n, design, bias)[0]

    verdicts, interval, directional = _look(pairs, pairs.n, design, bias)
    last = design.n_max or FAR
    more = bisect_left(range(pairs.n, last), True, key=decides) if decides(last) else None
    provable = max(-interval.low, interval.high)
    return Judgement(verdicts, interval, directional, provable, more, _level(design), pairs, design)


def _level(design: Design) -> float:
    """One-sided level of one comparison."""
    return design.alpha / design.comparisons


def _look(pairs: Paired, n: int, design: Design, bias: float) -> tuple[tuple[Verdict, ...], Interval, Interval]:
    """Verdicts and both intervals of a look at n pairs of this mean and sd."""
    interval, directional = (
        around(pairs.mean, pairs.sd, n, design.bound(n, alpha)).wider(bias)
        for alpha in (_level(design), _level(design) / 2)
    )
    return _verdicts(interval, directional, design.margin), interval, directional


def pairs_of_new_study(judged: Judgement, bias: float = 0.0) -> int | None:
    """The smallest n_max of a study of new seeds that decides if their mean and sd are these; None above LARGEST.

    A plug-in guess, as pairs_needed; bias as in judge().
    """

    def decides(n: int) -> bool:
        return Verdict.UNDECIDED not in _look(judged.pairs, n, replace(judged.design, n_max=n), bias)[0]

    sizes = range(judged.design.n0, LARGEST)
    return sizes[0] + bisect_left(sizes, True, key=decides) if decides(LARGEST) else None
