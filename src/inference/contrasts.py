"""Which runs are compared with which: the values of one factor, seed by seed, all else equal.

A group is the runs that share every setting but the factor, what may vary with it, and the seed. Within a group every
value of the factor is compared with the reference, over the seeds that have both.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src import schema
from src.inference.design import Design
from src.inference.pairs import discordance, paired
from src.inference.verdict import Judgement, Verdict, judge

# Draws are too few where a fifth of them moves a difference by more than this share of the margin.
DRAWS_SHARE = 1 / 5


@dataclass(frozen=True)
class Run:
    """What a comparison needs of a run that has ended or stands for one that was lost.

    settings: by key, those of its identity; the seed is apart.
    status: one of schema's.
    metrics: the last value of each.
    machine: processor and threads: numbers of a seed are equal bit for bit for one of them only.
    paths: by epoch: test/nll, and the axes of `matched`, all [E]; empty where they are not asked for.
    name: of the run, for tables.
    """

    settings: Mapping[str, Any]
    seed: int
    status: str
    metrics: Mapping[str, float]
    machine: str = ""
    paths: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    name: str = ""

    def score(self, metric: str) -> float:
        """The metric; inf where the run diverged, nan where it has none."""
        if self.status == schema.DIVERGED:
            return math.inf
        return self.metrics.get(metric, math.nan) if self.status == schema.FINISHED else math.nan

    @property
    def origin(self) -> tuple[str, float]:
        """Runs of one seed are pairs where this is equal: same machine, and same state at the fork if there is one."""
        return self.machine, self.metrics.get(schema.FORK_DIGEST.key, 0.0)


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


def shared(run: Run, design: Design) -> dict[str, Any]:
    """What the runs of a group have in common: all settings but the factor, what may vary with it and what is tuned."""
    free = {design.factor, design.tune, *design.covarying}
    return {key: value for key, value in run.settings.items() if key not in free}


def grouped(runs: Sequence[Run], design: Design) -> dict[Hashable, list[Run]]:
    """The runs by what they share."""
    groups = defaultdict[Hashable, list[Run]](list)
    for run in runs:
        groups[tuple(sorted((key, str(value)) for key, value in shared(run, design).items()))].append(run)
    return groups


def naming(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys in which groups differ, the batch size always: it names them."""
    keys = dict.fromkeys(key for group in groups for key in group)
    differ = [key for key in keys if len({str(group.get(key)) for group in groups}) > 1]
    return sorted({*differ, *(keys.keys() & {schema.BATCH_SIZE.key})}, key=lambda key: (key not in differ, key))


def plain(value: Any) -> float | str:
    """A value of a setting that can be sorted and be a key: a number as it is, anything else as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return "null" if value is None else str(value)


def reference_level(levels: Sequence[float | str], design: Design) -> float | str | None:
    """The value that the others are compared with; None where there is none, as the largest of words."""
    numbers = all(isinstance(level, int | float) for level in levels)
    if numbers and design.reference in ("max", "min"):
        return max(levels) if design.reference == "max" else min(levels)
    return next((level for level in levels if str(level) == design.reference), None)


def tuned(runs: Sequence[Run], design: Design) -> list[Run]:
    """Of the runs of one level, those whose value of `design.tune` has the best mean validation NLL over seeds."""
    if design.tune is None:
        return list(runs)
    by_value = defaultdict[Any, list[Run]](list)
    for run in runs:
        by_value[run.settings.get(design.tune)].append(run)

    def validation(value: Any) -> float:
        scores = [each.score(schema.VALIDATION_NLL.key) for each in by_value[value]]
        known = [score for score in scores if not math.isnan(score)]
        return fmean(known) if known else math.inf

    return by_value[min(by_value, key=validation)]


def opponents(runs: Sequence[Run], design: Design) -> list[tuple[list[Run], list[Run]]]:
    """The runs of every value of the factor beside those of the reference, group by group, in the order of values."""
    found = []
    for group in grouped(runs, design).values():
        by_level = defaultdict[float | str, list[Run]](list)
        for run in group:
            by_level[plain(run.settings[design.factor])].append(run)
        levels = sorted(by_level, key=lambda level: (isinstance(level, str), level))
        reference = reference_level(levels, design)
        chosen = {level: tuned(by_level[level], design) for level in levels}
        found += [(chosen[level], chosen[reference]) for level in levels if reference not in (None, level)]
    return found


def contrasts(runs: Sequence[Run], design: Design, axis: str | None = None) -> list[Contrast]:
    """Every value of the factor against the reference.

    Args:
        runs: one for each cell and seed.
        design: fixed before the first run, the number of comparisons included.
        axis: compare test/nll at the largest value of this path that both runs of a pair reach; None: compare
            design.metric at the end.
    """
    return [contrast(*both, design, axis) for both in opponents(runs, design)]


def paired_runs(level: Sequence[Run], reference: Sequence[Run]) -> tuple[list[tuple[Run, Run]], str]:
    """The runs of both values of the factor by seed, and why others of one seed are no pairs."""
    others = {run.seed: run for run in reference}
    both = [(run, others[run.seed]) for run in sorted(level, key=lambda run: run.seed) if run.seed in others]
    return [(a, b) for a, b in both if a.origin == b.origin], apart([(a, b) for a, b in both if a.origin != b.origin])


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
    made = Contrast(
        shared(level[0], design),
        plain(level[0].settings[design.factor]),
        plain(reference[0].settings[design.factor]),
        judge(found, design),
        tuple(score for score in scores if not math.isnan(score.level + score.reference)),
        unpaired,
        math.nan if axis else moved_by_draws(pairs, design),
        unscored,
        (typical(level, schema.TRAIN_SECONDS.key), typical(reference, schema.TRAIN_SECONDS.key)),
        (typical(level, schema.RUN_SECONDS.key), typical(reference, schema.RUN_SECONDS.key)),
    )
    return at_margin(made, design.margin)


def at_margin(found: Contrast, margin: float) -> Contrast:
    """The same pairs judged at another margin. Intervals hold for all margins at once."""
    judgement = judge(found.judgement.pairs, replace(found.judgement.design, margin=margin))
    found = found._replace(judgement=judgement)
    if found.obstacle:
        judgement = replace(judgement, verdicts=(Verdict.UNDECIDED,), pairs_needed=None)
    return found._replace(judgement=judgement)


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


def apart(pairs: Sequence[tuple[Run, Run]]) -> str:
    """Why these runs of one seed are no pairs."""
    if not pairs:
        return ""
    machines = any(a.machine != b.machine for a, b in pairs)
    reason = "processors or threads" if machines else "states at the fork"
    return f"{len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'} left out: different {reason}"


def typical(runs: Sequence[Run], metric: str) -> float:
    """The median of a metric over the finished runs; nan without any."""
    known = [run.metrics[metric] for run in runs if run.status == schema.FINISHED and metric in run.metrics]
    return median(known) if known else math.nan
