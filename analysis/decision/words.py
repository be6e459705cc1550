"""The decision, as the report writes it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.decision.numbers import Decision
from analysis.display import Table
from analysis.statistics.amounts import SECONDS
from analysis.store import SEED
from src import inference
from src.inference import Answer, Contrast, at_margin, command, table
from src.schema import Quantity
from src.writing import NONE, plural, short, signed, significant

ERRORS = (
    "{what}: each value against the reference, seed by seed. A false equivalence has probability at most {alpha:g} "
    "over {m} and {looks}, a false direction {half:g} a side; intervals hold at all looks at once."
)
MATCHED = (
    "The same at equal amounts: the test NLL after an epoch, of few draws, interpolated at the largest amount that "
    "both runs of a pair reach; from the fork on where there is one."
)
FORKED = (
    "Holds for what {factor} does after the fork, given the trunk. What it does before, and the choice of a basin, are "
    "not in it: runs from initialisation show these, with wider intervals. "
)
WHOLE = "Holds for whole runs, from initialisation on. "
ELSEWHERE = "Other data, models, optimizers or lengths of training may change it."
STEPS, REACH = 30, 10  # of the slider: margins up to so many times smaller and larger than that of the design


class Line(NamedTuple):
    """A value of the factor: its difference from the reference and what it proves, at the end and at equal seconds."""

    level: str
    difference: str
    interval: str
    n: str
    verdict: str
    at_equal_seconds: str
    seconds: str


class Card(NamedTuple):
    """The answer for one group: which, what is enough, a line per value of the factor, what it takes to decide."""

    place: str
    enough: str
    lines: list[Line]
    remedy: str


def answers(decision: Decision, runs: pd.DataFrame) -> list[Answer]:
    """The answer for each group. Its commands repeat the latest grid of the runs."""
    return inference.answer(decision.contrasts, again(decision, runs)) if decision.contrasts else []


def again(decision: Decision, runs: pd.DataFrame) -> Callable[[int], str]:
    """The command that runs the latest grid with so many seeds."""
    grids = runs.sort_values("start_time")["parent_name"].dropna()
    design, first = decision.contrasts[0].judgement.design, int(runs[SEED].min())
    return partial(command, grids.iloc[-1].split() if len(grids) else ["..."], design, first)


def margins(decision: Decision) -> list[float]:
    """The margins of the slider: two digits each, and that of the design in the middle."""
    if not decision.contrasts:
        return []
    own = decision.contrasts[0].judgement.design.margin
    around = [float(f"{own * factor:.2g}") for factor in np.geomspace(1 / REACH, REACH, STEPS + 1)]
    return sorted({margin for margin in around if margin != own} | {own})


def cards(decision: Decision, runs: pd.DataFrame, margin: float) -> list[Card]:
    """The answer for each group at a margin, in nats/image or what else the metric's unit is."""
    found = [at_margin(each, margin) for each in decision.contrasts]
    timed = [at_margin(each, margin) for each in decision.matched[SECONDS]]
    if not found:
        return []
    told, groups = inference.answer(found, again(decision, runs)), inference.by_group(found)
    same_time = inference.by_group(timed)
    return [
        Card(each.place, each.enough, list(lines(groups[each.place], same_time[each.place])), each.remedy)
        for each in told
    ]


def lines(group: Sequence[Contrast], timed: Sequence[Contrast]) -> Iterator[Line]:
    """A line per value, the reference last."""
    for each, at_time in zip(group, timed, strict=True):
        judged, later = each.judgement, at_time.judgement.pairs.mean
        mean = signed(judged.pairs.mean)
        pairs = f" (n = {at_time.judgement.pairs.n})" if at_time.judgement.pairs.n != judged.pairs.n else ""
        seconds = NONE if np.isnan(later) else f"{signed(later)}{pairs}: {verdict(at_time)}"
        level, price = inference.sides(each)[0], significant(each.epoch_seconds[0])
        yield Line(level, mean, told(each), str(judged.pairs.n), verdict(each), seconds, price)
    yield Line(inference.sides(group[0])[1], "reference", "", "", "", "", significant(group[0].epoch_seconds[1]))


def verdict(each: Contrast) -> str:
    """What is proven, and what is in the way of more."""
    return "; ".join(filter(None, [", ".join(inference.stated(each.judgement.verdicts)), each.obstacle]))


def told(each: Contrast) -> str:
    """The interval on which the verdict rests."""
    return inference.ends(inference.telling(each)).replace("-", "−")


def scope(decision: Decision) -> str:
    """What the answer holds for, and what may change it."""
    forks = {bool(each.group.get("fork.epochs")) for each in decision.contrasts}
    factor = decision.contrasts[0].judgement.design.factor if decision.contrasts else ""
    said = [FORKED.format(factor=short(factor))] if True in forks else []
    return "".join([*said, *([WHOLE] if False in forks else []), ELSEWHERE])


def verdict_table(contrasts: Sequence[Contrast], what: str) -> Table:
    """Every contrast with its intervals and verdicts."""
    if not contrasts:
        return Table(what, [], [])
    design = contrasts[0].judgement.design
    looks = f"up to {design.n_max} seeds" if design.n_max else "any number of seeds"
    numbers = {
        "alpha": design.alpha,
        "half": design.alpha / 2,
        "m": plural(design.comparisons, "comparison"),
        "looks": looks,
    }
    heads, *rows = table(contrasts)
    return Table(ERRORS.format(what=what, **numbers), list(heads), [list(row) for row in rows])


def matched_table(matched: dict[Quantity, list[Contrast]]) -> Table:
    """The differences at equal epochs, updates, decoder evaluations and seconds."""
    rows = []
    for axis, contrasts in matched.items():
        _, *found = table(contrasts)
        rows += [[f"equal {axis.label}", *row] for row in found]
    heads = table(next(iter(matched.values()), []))[0]
    return Table(MATCHED, ["at", *heads], rows)
