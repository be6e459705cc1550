"""The answer in words: which value of the factor is enough, within which margin, at which price; or what it takes."""

import math
import shlex
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from src import schema
from src.inference.contrasts import Contrast
from src.inference.design import Design
from src.inference.intervals import Interval
from src.inference.runs import naming
from src.inference.verdict import LARGEST, Verdict, pairs_of_new_study
from src.writing import label, plural, short

UNITS = {schema.FINAL_TEST_NLL.key: schema.FINAL_TEST_NLL.unit}


def group_name(contrast: Contrast, keys: Sequence[str]) -> str:
    """What distinguishes the runs of a contrast from those of the others; keys: naming() of all."""
    return " ".join(label(key, contrast.group[key]) for key in keys if key in contrast.group)


def sides(contrast: Contrast) -> list[str]:
    """The level and the reference, each with the value that was chosen for it where a setting is tuned."""
    design, both = contrast.judgement.design, (contrast.level, contrast.reference)
    chosen = ["" if value is None else f" ({label(str(design.tune), value)})" for value in contrast.tuned]
    return [label(design.factor, value) + own for value, own in zip(both, chosen, strict=True)]


def versus(contrast: Contrast) -> str:
    """What is subtracted from what."""
    return " - ".join(sides(contrast))


def ends(interval: Interval) -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}" if math.isfinite(interval.low) else "none yet"


def table(contrasts: Sequence[Contrast]) -> list[tuple[str, ...]]:
    """A row per contrast, after a row of heads: pairs, difference, its two intervals, and what they prove."""
    level = 100 * (1 - contrasts[0].judgement.alpha) if contrasts else 0.0
    heads = ("runs", "difference of", "n", "mean", "sd", "against the margin", f"{level:.3g} % interval", "verdict")
    keys = naming([each.group for each in contrasts])
    return [heads, *(row(each, keys) for each in contrasts)]


def row(each: Contrast, keys: Sequence[str]) -> tuple[str, ...]:
    judged, pairs = each.judgement, each.judgement.pairs
    notes = "; ".join(filter(None, [*stated(judged.verdicts), each.obstacle, each.unpaired, needed(each)]))
    spread = ends(judged.interval), ends(judged.directional)
    moments = ("–" if math.isnan(value) else f"{value:.3f}" for value in (pairs.mean, pairs.sd))
    return group_name(each, keys), versus(each), str(pairs.n), *moments, *spread, notes


def needed(each: Contrast) -> str:
    """How many more pairs would decide at the present spread; empty where it is decided or more cannot help."""
    if not each.undecided or each.obstacle or not each.judgement.pairs.sd > 0:
        return ""
    more = each.judgement.pairs_needed
    return "too wide for the last look" if more is None else f"about {more} more at this spread"


def command(overrides: Sequence[str], design: Design, first: int, seeds: int) -> str:
    """The command that runs a grid with so many seeds from the first one; new seeds where its design has no more."""
    keys = [key for key in overrides if not key.startswith(("seed=", "hydra.mode="))]
    if design.n_max is None:
        keys.append(f"seed=range({first},{first + seeds})")
    elif seeds > design.n_max:
        keys = [key for key in keys if not key.startswith("study.seeds=")]
        keys += [f"seed={first + design.n_max}", f"study.seeds={seeds}"]
    return f"python -m src.train -m {shlex.join(keys)}"


class Answer(NamedTuple):
    """What is found for one group, in words.

    place: which group; empty for all runs. enough: the smallest value that is not worse, or what is in the way of one.
    proof: a sentence per contrast. price: seconds per epoch. remedy: what it takes to decide; empty once decided.
    """

    place: str
    enough: str
    proof: list[str]
    price: str
    remedy: str

    @property
    def lines(self) -> list[str]:
        """Two lines for a terminal."""
        first = f"{self.place or 'all runs'}: {self.enough}. {'; '.join(self.proof)}."
        return [first, f"  seconds per epoch: {self.price}. {self.remedy}".rstrip()]


def answer(contrasts: Sequence[Contrast], again: Callable[[int], str], workers: int = 1) -> list[Answer]:
    """For each group what is enough, what proves it, its price, and what it takes to decide.

    Args:
        contrasts: of one design.
        again: pairs in all -> the command that runs them.
        workers: runs at a time, for the minutes still needed.
    """
    return [answer_of(name, group, again, workers) for name, group in by_group(contrasts).items()]


def by_group(contrasts: Sequence[Contrast]) -> dict[str, list[Contrast]]:
    """The contrasts of each group, by its name."""
    groups, keys = defaultdict[str, list[Contrast]](list), naming([each.group for each in contrasts])
    for each in contrasts:
        groups[place(each, keys)].append(each)
    return groups


def place(contrast: Contrast, keys: Sequence[str]) -> str:
    """What distinguishes the runs of a contrast, what the factor sets, and where they were forked.

    keys: naming() of all.
    """
    design, fork = contrast.judgement.design, contrast.group.get("fork.epochs", 0)
    said = [f"{key} set by {short(design.factor)}" for key in design.covarying]
    return ", ".join(filter(None, [group_name(contrast, keys), *said, f"forked after epoch {fork}" if fork else ""]))


def answer_of(name: str, group: Sequence[Contrast], again: Callable[[int], str], workers: int) -> Answer:
    """The answer for one group."""
    design = group[0].judgement.design
    within = " ".join(filter(None, [f"{design.margin:g}", UNITS.get(design.metric, design.metric)]))
    reference = label(design.factor, group[0].reference)
    enough = [each for each in group if proves(each, Verdict.NOT_WORSE)]
    doubtful = [each for each in (group[: group.index(enough[0])] if enough else group) if each.undecided]
    levels = [label(design.factor, each.level) for each in enough]
    if enough and design.reference == "max":
        text = f"{levels[0]} is the smallest that is not worse than {reference} by {within}"
    elif enough:
        text = f"not worse than {reference} by {within}: {', '.join(levels)}"
    elif doubtful:
        text = f"undecided against {reference} at a margin of {within}"
    else:
        text = f"none is shown to be within {within} of {reference}"
    cure = remedy(doubtful, again, workers) if doubtful else ""
    if doubtful and not group[0].group.get("fork.epochs") and not any(each.obstacle for each in doubtful):
        cure += " (forked, with fork.epochs=1, seeds differ less)"
    return Answer(name, text, [evidence(each) for each in group], price(group), cure)


def proves(each: Contrast, verdict: Verdict) -> bool:
    return verdict in each.judgement.verdicts


def stated(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts without those that another one implies."""
    implied = {
        Verdict.NOT_WORSE: {Verdict.EQUIVALENT, Verdict.BETTER},
        Verdict.BETTER: {Verdict.BETTER_BY_MARGIN},
        Verdict.WORSE: {Verdict.WORSE_BY_MARGIN},
    }
    return [each for each in verdicts if not implied.get(each, set()).intersection(verdicts)]


def telling(each: Contrast) -> Interval:
    """The interval on which the verdict rests: that for a direction where one is proven."""
    directional = proves(each, Verdict.BETTER) or proves(each, Verdict.WORSE)
    return each.judgement.directional if directional else each.judgement.interval


def evidence(each: Contrast) -> str:
    """A contrast with its number of pairs, difference, interval and verdicts."""
    judged = each.judgement
    said = ", ".join(filter(None, [*stated(judged.verdicts), each.obstacle]))
    found = "unknown" if math.isnan(judged.pairs.mean) else f"{judged.pairs.mean:+.2f}"
    return f"{versus(each)} = {found} ({ends(telling(each))}; n={judged.pairs.n} pairs): {said}"


def epoch_seconds(group: Sequence[Contrast]) -> dict[float | str, float]:
    """Seconds of an epoch, by value of the factor, the reference last."""
    return {each.level: each.epoch_seconds[0] for each in group} | {group[0].reference: group[0].epoch_seconds[1]}


def price(group: Sequence[Contrast]) -> str:
    """Seconds of an epoch, in words."""
    factor = group[0].judgement.design.factor
    told = [f"{seconds:.2g} at {label(factor, k)}" for k, seconds in epoch_seconds(group).items() if seconds > 0]
    return ", ".join(told) or "unknown"


def remedy(open_ones: Sequence[Contrast], again: Callable[[int], str], workers: int) -> str:
    """What it takes to decide: pairs and minutes still needed, the command; the margin that is shown so far."""
    if blocked := [each.obstacle for each in open_ones if each.obstacle]:
        return f"More seeds cannot decide: {blocked[0]}."
    design, have = open_ones[0].judgement.design, min(each.judgement.pairs.n for each in open_ones)
    spread = max((each.judgement.pairs.sd for each in open_ones), key=lambda sd: -1 if math.isnan(sd) else sd)
    shown = max(each.judgement.provable_margin for each in open_ones)
    so_far = f"Shown so far: within {shown:.2f}. " if math.isfinite(shown) else ""
    if not spread > 0:
        return f"{so_far}The first verdicts come at {design.n0} pairs: {again(design.n_max or design.n0)}"
    more = [each.judgement.pairs_needed for each in open_ones]
    if None in more:  # beyond the last look: new seeds, whose number is fixed beforehand
        sizes = [pairs_of_new_study(each.judgement, each.moved) for each in open_ones]
        pairs = total = max(LARGEST if size is None else size for size in sizes)
        text = f"A new study of {'more than' if None in sizes else 'about'} {plural(pairs, 'pair')}"
    else:
        pairs = max(number for number in more if number is not None)
        total, text = have + pairs, f"About {plural(pairs, 'more pair')}"
    once = sum(each.run_seconds[0] for each in open_ones) + open_ones[0].run_seconds[1]
    seconds = once * pairs / workers
    minutes = f", {seconds / 60:.0f} minutes" if math.isfinite(seconds) else ""
    return f"{so_far}{text} at this spread (sd {spread:.2f}){minutes}: {again(total)}"
