"""Runs as a comparison sees them, and which are compared with which: the values of one factor, all else equal.

A group is the runs that share every setting but the factor, what may vary with it, and the seed. Within a group every
value of the factor is compared with the reference, over the seeds that have both.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from src import schema
from src.inference.design import Design

# Tags with the kind of processor and the number of threads.
MACHINE = (schema.CPU, schema.THREADS)


class LeftOut(StrEnum):
    """Why two runs of one seed are no pair."""

    MACHINE = "different processors or threads"
    FORK = "different states at the fork"
    SCORE = "a score by draws, not by quadrature"


@dataclass(frozen=True)
class Run:
    """A run as a comparison sees it: one that has ended, or one to come.

    settings: by key, those that are compared, and the seed.
    status: one of schema's; empty for a run to come.
    metrics: the last value of each.
    tags: those of MACHINE. Numbers of a seed are the same bit for bit only where they are equal.
    paths: by epoch: test/nll, and the axes of `matched`, all [E]; empty where they are not asked for.
    name: of the run, for tables.
    """

    settings: Mapping[str, Any]
    status: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    name: str = ""

    @property
    def seed(self) -> int:
        return int(self.settings[schema.SEED.key])

    @property
    def machine(self) -> list[str | None]:
        return [self.tags.get(tag) for tag in MACHINE]

    def score(self, metric: str) -> float:
        """The metric; inf where the run diverged, nan where it has none."""
        if self.diverged:
            return math.inf
        return self.metrics.get(metric, math.nan) if self.status == schema.FINISHED else math.nan

    @property
    def diverged(self) -> bool:
        return self.status == schema.DIVERGED

    @property
    def origin(self) -> tuple[list[str | None], float]:
        """Runs of one seed are pairs where this is equal: same machine, and same state at the fork if there is one."""
        return self.machine, self.metrics.get(schema.FORK_DIGEST.key, 0.0)


def representative(statuses: Sequence[str]) -> int:
    """Which of a cell's attempts stands for it, by their statuses in the order of their starts: the latest that
    finished, else the latest.
    """
    numbered = list(enumerate(statuses))
    return max(numbered, key=lambda each: (each[1] == schema.FINISHED, each[0]))[0]


def shared(run: Run, design: Design) -> dict[str, Any]:
    """What the runs of a group have in common: all but the factor, what varies with it, what is tuned, and the seed."""
    free = {design.factor, design.tune, *design.covarying, schema.SEED.key}
    if schema.FACTORY in free:
        free.add(schema.FACTORY_CODE)
    return {key: value for key, value in run.settings.items() if key not in free}


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


def choice(runs: Sequence[Run], key: str | None) -> Any:
    """The value of a setting with the best mean validation NLL among the runs of one level; None before any score.

    The mean is over the seeds that all values have, so the choice stays when later seeds have the chosen one alone.
    Where no seed is common, it is over all of them.
    """
    scores = defaultdict[Any, dict[int, float]](dict)
    for run in runs:
        if key is not None and not math.isnan(score := run.score(schema.VALIDATION_NLL.key)):
            scores[run.settings.get(key)][run.seed] = score
    common = set.intersection(*map(set, scores.values())) if scores else set()
    means = {value: fmean(known[seed] for seed in common or known) for value, known in scores.items()}
    return min(means, key=means.__getitem__, default=None)


def opponents(runs: Sequence[Run], design: Design) -> list[tuple[list[Run], list[Run]]]:
    """The runs of every value of the factor beside those of the reference, group by group, in the order of values.

    Where a setting is tuned, they are the runs with its chosen value, or all while nothing can be chosen.
    """
    groups = defaultdict[Hashable, dict[float | str, list[Run]]](lambda: defaultdict(list))
    for run in runs:
        group = tuple(sorted((key, str(value)) for key, value in shared(run, design).items()))
        groups[group][plain(run.settings[design.factor])].append(run)
    found = []
    for by_level in groups.values():
        levels = sorted(by_level, key=lambda level: (isinstance(level, str), level))
        reference = reference_level(levels, design)
        for level, of_level in by_level.items():
            if (chosen := choice(of_level, design.tune)) is not None:
                by_level[level] = [run for run in of_level if run.settings.get(str(design.tune)) == chosen]
        found += [(by_level[level], by_level[reference]) for level in levels if reference not in (None, level)]
    return found


def paired_runs(level: Sequence[Run], reference: Sequence[Run]) -> tuple[list[tuple[Run, Run]], Counter[LeftOut]]:
    """The runs of both values of the factor by seed, without runs to come; and how many are no pairs, by reason."""
    others = {run.seed: run for run in reference if run.status}
    begun = sorted((run for run in level if run.status and run.seed in others), key=lambda run: run.seed)
    both = [(run, others[run.seed]) for run in begun]
    left_out = Counter(
        LeftOut.MACHINE if a.machine != b.machine else LeftOut.FORK for a, b in both if a.origin != b.origin
    )
    return [(a, b) for a, b in both if a.origin == b.origin], left_out


def comparable(exact: ArrayLike) -> NDArray[np.bool_]:
    """Which scores may be averaged or paired: those by quadrature where there are any, else all.

    A score by draws, of a run whose quadrature did not converge, may lie nats above.

    Args:
        exact: whether each score is by quadrature, of any shape.
    """
    known = np.asarray(exact, dtype=bool)
    return known | ~known.any()


def of_one_kind(pairs: Sequence[tuple[Run, Run]]) -> list[tuple[Run, Run]]:
    """The pairs whose scores are comparable. A run that diverged has no score."""
    exact = [[schema.FINAL_TEST_NLL_QUADRATURE.key in run.metrics for run in pair] for pair in pairs]
    unscored = np.array([[run.status != schema.FINISHED for run in pair] for pair in pairs], dtype=bool)
    return [pair for pair, fits in zip(pairs, comparable(exact) | unscored, strict=True) if fits.all()]
