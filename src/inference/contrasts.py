"""What the paired runs of two values of a factor prove: at the end of training, or at equal amounts of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np

from src import schema
from src.inference.design import Design
from src.inference.pairs import discordance, paired
from src.inference.runs import Run, choice, of_one_kind, opponents, paired_runs, plain, shared
from src.inference.verdict import Judgement, Verdict, judge


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
        moved: what a fifth of the draws changes of the mean difference, in its unit; 0 where the score has no draws.
            More draws are taken to change no more than that: the intervals are wider by it.
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
        mean, margin = self.judgement.pairs.mean, self.judgement.design.margin
        # With ever more seeds the intervals shrink to mean +- moved.
        blocked = self.moved >= margin and abs(mean) <= self.moved and mean + self.moved >= margin
        if self.unscored or not (self.undecided and blocked):
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
    if axis is None and design.metric == schema.FINAL_TEST_NLL.key:
        pairs, mixed = of_one_kind(pairs)
        unpaired = "; ".join(filter(None, [unpaired, mixed]))
    pairs = pairs[: design.n_max]
    scores = [Pair(a.seed, *scored(a, b, design.metric, axis), (a.name, b.name)) for a, b in pairs]
    a, b = [score.level for score in scores], [score.reference for score in scores]
    found = paired(a, b)
    unscored, lost = "", [sum(map(math.isinf, side)) for side in (a, b)]
    if any(lost):
        chance = discordance(found.only_a, found.only_b)
        unscored = f"{lost[0]} and {lost[1]} of the runs diverged, which have no score (exact p = {chance:.2g})"
    elif any(x.status == y.status == schema.FINISHED for x, y in pairs) and not (found.n or axis):
        unscored = f"the runs have no {design.metric}"
    moved = 0.0 if axis else moved_by_draws(pairs, design)
    return Contrast(
        shared(level[0], design),
        plain(level[0].settings[design.factor]),
        plain(reference[0].settings[design.factor]),
        judge(found, design, moved),
        (choice(level, design.tune), choice(reference, design.tune)),
        tuple(score for score in scores if not math.isnan(score.level + score.reference)),
        unpaired,
        moved,
        unscored,
        (typical(level, schema.TRAIN_SECONDS.key), typical(reference, schema.TRAIN_SECONDS.key)),
        (typical(level, schema.RUN_SECONDS.key), typical(reference, schema.RUN_SECONDS.key)),
    )


def at_margin(found: Contrast, margin: float) -> Contrast:
    """The same pairs judged at another margin. Intervals hold for all margins at once."""
    return judged_by(found, replace(found.judgement.design, margin=margin))


def judged_by(found: Contrast, design: Design) -> Contrast:
    """The same pairs judged by another design of the same metric."""
    return found._replace(judgement=judge(found.judgement.pairs, design, found.moved))


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
    """What a fifth of the draws changes of the mean difference of importance-weighted scores; 0 for other scores."""
    if design.metric != schema.FINAL_TEST_NLL.key:
        return 0.0

    def move(run: Run) -> float:
        fifth = run.score(schema.FINAL_TEST_NLL_FIFTH.key)
        return 0.0 if math.isnan(fifth) else run.score(design.metric) - fifth  # a score by quadrature has no draws

    moves = [found for a, b in pairs if math.isfinite(found := move(a) - move(b))]
    return abs(fmean(moves)) if moves else 0.0


def typical(runs: Sequence[Run], metric: str) -> float:
    """The median of a metric over the finished runs; nan without any."""
    known = [run.metrics[metric] for run in runs if run.status == schema.FINISHED and metric in run.metrics]
    return median(known) if known else math.nan
