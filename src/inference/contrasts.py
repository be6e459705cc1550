"""What the paired runs of two values of a factor prove: at the end of training, or at equal amounts of it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np

from src import schema
from src.inference.design import Design
from src.inference.pairs import paired
from src.inference.runs import LeftOut, Run, choice, naming, of_one_kind, opponents, paired_runs, plain, shared
from src.inference.verdict import Judgement, Verdict, judge
from src.writing import label, render, short


class Pair(NamedTuple):
    """The scores of two runs of one seed, in the unit of the metric, and the runs' names."""

    seed: int
    level: float
    reference: float
    runs: tuple[str, str]


class Contrast(NamedTuple):
    """One value of the factor against the reference.

    Attributes:
        group: what its runs share. place: its name among the groups; empty for the only one without a batch size.
        level, reference: values of the factor.
        judgement: what the pairs prove.
        tuned: the chosen values of design.tune, of the level and of the reference; None where none is chosen.
        pairs: the runs that are compared.
        left_out: how many pairs of runs are not compared, by reason.
        diverged: how many runs of the pairs diverged, of the level and of the reference.
        unscored: whether runs of a pair have finished, and no pair has the metric.
        epoch_seconds, run_seconds: medians of the last epoch and of a whole run, of the level and of the reference.
    """

    group: Mapping[str, Any]
    level: float | str
    reference: float | str
    judgement: Judgement
    tuned: tuple[Any, Any]
    pairs: tuple[Pair, ...]
    left_out: Mapping[LeftOut, int]
    diverged: tuple[int, int]
    unscored: bool
    epoch_seconds: tuple[float, float]
    run_seconds: tuple[float, float]
    place: str = ""

    @property
    def obstacle(self) -> str:
        """Why more seeds cannot decide: diverged, unscored or draws; empty where they can."""
        mean, margin, bias = self.judgement.pairs.mean, self.judgement.design.margin, self.judgement.bias
        # With ever more seeds the intervals shrink to mean +- bias.
        blocked = bias >= margin and abs(mean) <= bias and mean + bias >= margin
        reasons = {"diverged": any(self.diverged), "unscored": self.unscored, "draws": self.undecided and blocked}
        return next((reason for reason, holds in reasons.items() if holds), "")

    @property
    def note(self) -> str:
        """What is in the way of a verdict, and what was left out; empty where nothing is."""
        return render(Path(__file__).with_name("note.txt.j2"), contrast=self)

    @property
    def finding(self) -> str:
        """What is proven, and the note."""
        return "; ".join(filter(None, [", ".join(self.judgement.stated), self.note]))

    @property
    def known(self) -> bool:
        """Whether there is a mean difference."""
        return not math.isnan(self.judgement.pairs.mean)

    @property
    def undecided(self) -> bool:
        return self.judgement.proves(Verdict.UNDECIDED)

    @property
    def open(self) -> bool:
        """Whether further seeds are to be run."""
        last = self.judgement.design.n_max
        return self.undecided and not self.obstacle and (last is None or self.judgement.pairs.n < last)

    @property
    def names(self) -> list[str]:
        """The level and the reference, each with the value that was chosen for it where a setting is tuned."""
        design, levels = self.judgement.design, (self.level, self.reference)
        chosen = ["" if value is None else f" ({label(str(design.tune), value)})" for value in self.tuned]
        return [label(design.factor, level) + own for level, own in zip(levels, chosen, strict=True)]

    def judged_by(self, **changes: Any) -> "Contrast":
        """The same pairs judged by a design with other fields, such as another margin.

        The intervals of a design hold for all margins at once.
        """
        design = replace(self.judgement.design, **changes)
        return self._replace(judgement=judge(self.judgement.pairs, design, self.judgement.bias))


def contrasts(runs: Sequence[Run], design: Design, axis: str | None = None) -> list[Contrast]:
    """Every value of the factor against the reference.

    Args:
        runs: one for each cell and seed.
        design: fixed before the first run, the number of comparisons included.
        axis: compare test/nll at the largest value of this path that both runs of a pair reach; None: compare
            design.metric at the end.
    """
    found = [contrast(*both, design, axis) for both in opponents(runs, design)]
    keys = naming([each.group for each in found])
    return [each._replace(place=place(each.group, keys, design)) for each in found]


def place(group: Mapping[str, Any], keys: Sequence[str], design: Design) -> str:
    """The name of a group: its settings among these keys, what the factor sets, and where its runs were forked."""
    set_too = [f"{key} set by {short(design.factor)}" for key in design.covarying]
    forked = [f"forked after epoch {group['fork.epochs']}"] if group.get("fork.epochs") else []
    return ", ".join(filter(None, [labels(group, keys), *set_too, *forked]))


def labels(group: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The settings of a group among these keys; empty for none."""
    return " ".join(label(key, group[key]) for key in keys if key in group)


def contrast(level: Sequence[Run], reference: Sequence[Run], design: Design, axis: str | None) -> Contrast:
    """One contrast, from the runs of both values of the factor."""
    pairs, left_out = paired_runs(level, reference)
    if axis is None and design.metric == schema.FINAL_TEST_NLL.key:
        before, pairs = len(pairs), of_one_kind(pairs)
        left_out += Counter({LeftOut.SCORE: before - len(pairs)})
    pairs = pairs[: design.n_max]
    scores = [Pair(a.seed, *scored(a, b, design.metric, axis), (a.name, b.name)) for a, b in pairs]
    found = paired((score.level, score.reference) for score in scores)
    finished = any(a.status == b.status == schema.FINISHED for a, b in pairs)
    return Contrast(
        group=shared(level[0], design),
        level=plain(level[0].settings[design.factor]),
        reference=plain(reference[0].settings[design.factor]),
        judgement=judge(found, design, 0.0 if axis else moved_by_draws(pairs, design)),
        tuned=(choice(level, design.tune), choice(reference, design.tune)),
        pairs=tuple(score for score in scores if not math.isnan(score.level + score.reference)),
        left_out=left_out,
        diverged=(sum(a.diverged for a, _ in pairs), sum(b.diverged for _, b in pairs)),
        unscored=finished and axis is None and not found.n,
        epoch_seconds=(typical(level, schema.TRAIN_SECONDS.key), typical(reference, schema.TRAIN_SECONDS.key)),
        run_seconds=(typical(level, schema.RUN_SECONDS.key), typical(reference, schema.RUN_SECONDS.key)),
    )


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
    """What a fifth of the draws changes of the mean difference of importance-weighted scores; 0 for other scores.

    More draws are taken to change no more than that.
    """
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
