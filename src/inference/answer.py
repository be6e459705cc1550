"""The answer: for each group which value of the factor is enough, or what it takes to decide. Records for templates."""

import math
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from src import schema
from src.inference.contrasts import Contrast
from src.inference.design import Design
from src.inference.verdict import LARGEST, Verdict
from src.writing import render

# What a terminal shows: of `answers`, and of `contrasts`.
ANSWER, CONTRASTS = (Path(__file__).with_name(f"{name}.txt.j2") for name in ("answer", "contrasts"))
UNITS = {schema.FINAL_TEST_NLL.key: schema.FINAL_TEST_NLL.unit}


class Remedy(NamedTuple):
    """What it takes to decide the undecided contrasts of a group, if mean and sd stay as they are.

    provable_margin: the smallest margin at which all of them are shown to be equivalent; None before the first look.
    sd: the largest of their differences; nan where no contrast has two pairs, and then pairs are those of a first look.
    pairs: more pairs, or those of a new study where the design's last look comes too early. more: even more than these.
    seconds: of the runs of these pairs; nan where it is not known.
    command: what runs them.
    """

    provable_margin: float | None
    sd: float
    pairs: int
    new_study: bool
    more: bool
    seconds: float
    command: str


class Answer(NamedTuple):
    """What is found for one group: see `Contrast.place`, `enough`, `Remedy`.

    blocked: an undecided contrast that more seeds cannot decide. remedy: None where nothing is undecided, or blocked.
    """

    place: str
    contrasts: Sequence[Contrast]
    enough: float | str | None
    blocked: Contrast | None
    remedy: Remedy | None

    def written(self, part: str) -> str:
        """A part of the answer as a sentence: enough or remedy."""
        design = self.contrasts[0].judgement.design
        template = Path(__file__).with_name(f"{part}.txt.j2")
        return render(template, answer=self, design=design, unit=UNITS.get(design.metric, design.metric))


def enough(group: Sequence[Contrast]) -> float | str | None:
    """The smallest value of the factor that is shown to be not worse than the reference.

    The reference itself where all other values are shown to be worse by more than the margin; None where neither is.
    """
    shown = [each.level for each in group if each.judgement.proves(Verdict.NOT_WORSE)]
    needed = all(each.judgement.proves(Verdict.WORSE_BY_MARGIN) for each in group)
    return shown[0] if shown else group[0].reference if needed else None


def answers(contrasts: Sequence[Contrast], again: Callable[[int], str], workers: int = 1) -> list[Answer]:
    """The answer for each group.

    Args:
        contrasts: of one design.
        again: pairs in all -> the command that runs them.
        workers: runs at a time, for the time still needed.
    """
    return [answer(place, group, again, workers) for place, group in by_group(contrasts).items()]


def answer(place: str, group: Sequence[Contrast], again: Callable[[int], str], workers: int) -> Answer:
    """The answer for one group. Undecided values above the one that is enough do not matter."""
    found, levels = enough(group), [each.level for each in group]
    undecided = [each for each in group[: levels.index(found) if found in levels else None] if each.undecided]
    blocked = next((each for each in undecided if each.obstacle), None)
    remedy = remedy_of(undecided, again, workers) if undecided and not blocked else None
    return Answer(place, group, found, blocked, remedy)


def remedy_of(undecided: Sequence[Contrast], again: Callable[[int], str], workers: int) -> Remedy:
    """What it takes to decide these contrasts of one group."""
    judged, design = [each.judgement for each in undecided], undecided[0].judgement.design
    sd = max((each.pairs.sd for each in judged), key=lambda sd: -1.0 if math.isnan(sd) else sd)
    have = min(each.pairs.n for each in judged)
    new_study = sd > 0 and any(each.pairs_needed is None for each in judged)
    if new_study:  # new seeds, whose number is fixed beforehand
        sizes = [each.pairs_of_new_study for each in judged]
    elif sd > 0:
        sizes = [have + (each.pairs_needed or 0) for each in judged]
    else:
        sizes = [design.n_max or design.n0]
    total = max(LARGEST if size is None else size for size in sizes)
    pairs = total if new_study else total - have
    seconds = (sum(each.run_seconds[0] for each in undecided) + undecided[0].run_seconds[1]) * pairs / workers
    provable = max(each.provable_margin for each in judged)
    shown = provable if math.isfinite(provable) else None
    return Remedy(shown, sd, pairs, new_study, None in sizes, seconds, again(total))


def command(overrides: Sequence[str], design: Design, first: int, seeds: int) -> str:
    """The command that runs a grid with so many seeds from the first one; new seeds where its design has no more."""
    keys = [key for key in overrides if not key.startswith(("seed=", "hydra.mode="))]
    if design.n_max is None:
        keys.append(f"seed=range({first},{first + seeds})")
    elif seeds > design.n_max:
        keys = [key for key in keys if not key.startswith("study.seeds=")]
        keys += [f"seed={first + design.n_max}", f"study.seeds={seeds}"]
    return f"python -m src.train -m {shlex.join(keys)}"


def by_group(contrasts: Sequence[Contrast]) -> dict[str, list[Contrast]]:
    """The contrasts of each group, by its name."""
    groups = defaultdict[str, list[Contrast]](list)
    for each in contrasts:
        groups[each.place].append(each)
    return groups
