"""What the paired runs of two values of a factor prove: at the end of training, or at equal amounts of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from src import schema
from src.inference.design import Design
from src.inference.pairs import discordance, paired
from src.inference.runs import Run, choice, opponents, paired_runs, plain, shared
from src.inference.verdict import Judgement, Verdict, judge

# Draws are too few where a fifth of them moves a difference by more than this share of the margin.
DRAWS_SHARE = 1 / 5


class Pair(NamedTuple):
    """The scores of two runs of one seed, in the unit of the metric, and the runs' names."""

    seed: int
    level: float
    reference: float
    runs: tuple[str, str]


class Contrast(NamedTuple):
    """One value of the factor against the reference.

    Attributes:
        group: what its runs share; see `naming`.
        level, reference: values of the factor.
        judgement: what the pairs prove.
        tuned: the chosen values of design.tune, of the level and of the reference; None where none is chosen.
        pairs: the runs that are compared.
        unpaired: why pairs of runs were left out, with their number; empty where none was.
        moved: what a fifth of the draws changes of the mean difference, in its unit; nan where the score has no draws.
        unscored: why the pairs have no difference; empty where they have one.
        epoch_seconds, run_seconds: medians of the last epoch and of a whole run, of the level and of the reference.
    """

    group: Mapping[str, Any]
    level: float | str
    reference: float | str
    judgement: Judgement
    tuned: tuple[Any, Any]
    pairs: tuple[Pair, ...]
    unpaired: str
    moved: float
    unscored: str
    epoch_seconds: tuple[float, float]
    run_seconds: tuple[float, float]

    @property
    def obstacle(self) -> str:
        """Why more seeds cannot decide; empty where they can."""
        if self.unscored or not self.moved > DRAWS_SHARE * self.judgement.design.margin:
            return self.unscored
        return f"a fifth of the draws moves the difference by {self.moved:.2f}: raise evaluation.final_iw_samples"

    @property
    def undecided(self) -> bool:
        return Verdict.UNDECIDED in self.judgement.verdicts

    @property
    def open(self) -> bool:
        """Whether further seeds are to be run."""
        last = self.judgement.design.n_max
        return self.undecided and not self.obstacle and (last is None or self.judgement.pairs.n < last)


def contrasts(runs: Sequence[Run], design: Design, axis: str | None = None) -> list[Contrast]:
    """Every value of the factor against the reference.

    Args:
        runs: one for each cell and seed.
        design: fixed before the first run, the number of comparisons included.
        axis: compare test/nll at the largest value of this path that both runs of a pair reach; None: compare
            design.metric at the end.
    """
    return [contrast(*both, design, axis) for both in opponents(runs, design)]


def contrast(level: Sequence[Run], reference: Sequence[Run], design: Design, axis: str | None) -> Contrast:
    """One contrast, from the runs of both values of the factor."""
    pairs, unpaired = paired_runs(level, reference)
    pairs = pairs[: design.n_max]
    scores = [Pair(a.seed, *scored(a, b, design.metric, axis), (a.name, b.name)) for a, b in pairs]
    a, b = [score.level for score in scores], [score.reference for score in scores]
    found = paired(a, b, design.diverged)
    unscored, lost = "", [sum(map(math.isinf, side)) for side in (a, b)]
    if any(lost) and design.diverged is None:
        chance = discordance(found.only_a, found.only_b)
        unscored = f"{lost[0]} and {lost[1]} of the runs diverged, which have no score (exact p = {chance:.2g})"
    elif any(x.status == y.status == schema.FINISHED for x, y in pairs) and not (found.n or axis):
        unscored = f"the runs have no {design.metric}"
    return withheld(
        Contrast(
            shared(level[0], design),
            plain(level[0].settings[design.factor]),
            plain(reference[0].settings[design.factor]),
            judge(found, design),
            (choice(level, design.tune), choice(reference, design.tune)),
            tuple(score for score in scores if not math.isnan(score.level + score.reference)),
            unpaired,
            math.nan if axis else moved_by_draws(pairs, design),
            unscored,
            (typical(level, schema.TRAIN_SECONDS.key), typical(reference, schema.TRAIN_SECONDS.key)),
            (typical(level, schema.RUN_SECONDS.key), typical(reference, schema.RUN_SECONDS.key)),
        )
    )


def at_margin(found: Contrast, margin: float) -> Contrast:
    """The same pairs judged at another margin. Intervals hold for all margins at once."""
    judgement = judge(found.judgement.pairs, replace(found.judgement.design, margin=margin))
    return withheld(found._replace(judgement=judgement))


def withheld(found: Contrast) -> Contrast:
    """Undecided where something is in the way of a verdict, whatever the interval."""
    if not found.obstacle:
        return found
    return found._replace(judgement=replace(found.judgement, verdicts=(Verdict.UNDECIDED,), pairs_needed=None))


def scored(a: Run, b: Run, metric: str, axis: str | None) -> tuple[float, float]:
    """What is compared of a pair; nan where it does not exist, inf where the run diverged."""
    ends = a.score(metric), b.score(metric)
    if axis is None or not all(map(math.isfinite, ends)):
        return ends
    common = min(run.paths[axis][-1] for run in (a, b))
    if common < max(run.paths[axis][0] for run in (a, b)):
        return math.nan, math.nan
    first, second = (np.interp(common, run.paths[axis], run.paths[schema.TEST_NLL.key]) for run in (a, b))
    return float(first), float(second)


def moved_by_draws(pairs: Sequence[tuple[Run, Run]], design: Design) -> float:
    """What a fifth of the draws changes of the mean difference of importance-weighted scores; nan for other scores."""

    def mean(key: str) -> float:
        return paired([a.score(key) for a, _ in pairs], [b.score(key) for _, b in pairs], design.diverged).mean

    if design.metric != schema.FINAL_TEST_NLL.key:
        return math.nan
    return abs(mean(schema.FINAL_TEST_NLL.key) - mean(schema.FINAL_TEST_NLL_FIFTH.key))


def typical(runs: Sequence[Run], metric: str) -> float:
    """The median of a metric over the finished runs; nan without any."""
    known = [run.metrics[metric] for run in runs if run.status == schema.FINISHED and metric in run.metrics]
    return median(known) if known else math.nan
