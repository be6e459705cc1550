"""The figure that carries the answer, and the same difference along training: a panel per group, a colour per value."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis import style
from analysis.decision.numbers import Decision
from analysis.picture import AXIS, HUE, PANEL, POINTS, Picture, X
from analysis.statistics.amounts import EPOCHS, SECONDS
from analysis.store import SEED, B, K
from src import inference
from src.inference import Contrast, ends, stated, telling
from src.writing import label

END = (
    "Difference from {} at the end of training, seed by seed; above 0 is worse. Small points are single seeds, bars "
    "intervals that hold at every look, the band is the margin."
)
ALONG = (
    "The same difference along training, of the test NLL after an epoch, which takes few draws: at equal amounts of "
    "training, from the fork on where there is one. Bands are intervals at each amount alone."
)
OF_PAIRS = {"n": "pairs", "mean": "difference"}
OF_SEED = {"seed": "seed", "run": "run", "reference run": "reference run", "command": "repeat by", "with": "with"}


def pictures(decision: Decision, commands: Mapping[str, str]) -> list[Picture]:
    """The difference at the end and along training; none where nothing is compared.

    Args:
        commands: by run, what repeats it.
    """
    if not decision.contrasts:
        return []
    first, along = decision.contrasts[0], decision.along
    margin = first.judgement.design.margin
    # Groups may lack values, so that the reference of one is a value of another.
    reference = " or ".join(dict.fromkeys(called(each, each.reference) for each in decision.contrasts))
    # A value has one colour in all figures, so the reference has one too.
    levels = {level for each in decision.contrasts for level in (each.level, each.reference)}
    ordered = sorted(levels, key=lambda level: (isinstance(level, str), level))
    colours = style.sequential([called(first, level) for level in ordered])
    compared = {called(each, each.level) for each in decision.contrasts}
    colours = {label: colour for label, colour in colours.items() if label in compared}
    along = along.assign(hue=[called(first, level) for level in along["level"]], panel=along["place"].map(spaced))
    unit = inference.UNITS.get(first.judgement.design.metric, "")
    y = f"difference from {reference}" + (f" [{unit}]" if unit else "")
    end = Picture(
        "difference", "Difference at the end of training", END.format(reference), end_table(decision.contrasts), "", y,
        colours, POINTS, margin=margin, seeds=seed_table(decision.contrasts, commands),
        tips={HUE: "value", **OF_PAIRS, "interval": "interval", "verdict": "at the study's margin", **OF_SEED},
    )  # fmt: skip
    path = Picture(
        "difference_path", "Difference along training", ALONG, along, "", y, colours, switch=AXIS,
        rows=(EPOCHS.axis, SECONDS.axis), margin=margin, tips={HUE: "value", X: "amount", **OF_PAIRS},
    )  # fmt: skip
    return [end, path]


def called(contrast: Contrast, level: float | str) -> str:
    """A value of the factor, as legends have it."""
    return spaced(label(contrast.judgement.design.factor, level))


def spaced(name: str) -> str:
    """A name with its equals signs as figures have them."""
    return name.replace("=", " = ")


def end_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """A row per contrast: its panel, value, mean difference, the interval that tells, its text, and the verdict."""
    rows = [
        {PANEL: spaced(panel), HUE: called(each, each.level), X: called(each, each.level), "n": each.judgement.pairs.n}
        | {"mean": each.judgement.pairs.mean, "ci_low": telling(each).low, "ci_high": telling(each).high}
        | {"interval": ends(telling(each)), "verdict": ", ".join(stated(each.judgement.verdicts))}
        for panel, group in inference.by_group(contrasts).items()
        for each in group
    ]
    return pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)


def own(contrast: Contrast, seed: int) -> str:
    """What a command needs beside that of its grid to make the run of the value: K, B and the seed."""
    values = {**contrast.group, contrast.judgement.design.factor: contrast.level, SEED: seed}
    return " ".join(f"{key}={values[key]}" for key in dict.fromkeys([K, B, contrast.judgement.design.factor, SEED]))


def seed_table(contrasts: Sequence[Contrast], commands: Mapping[str, str]) -> pd.DataFrame:
    """A row per pair: its panel, value, seed and difference, with both runs and what repeats that of the value."""
    rows = [
        [panel, called(each, each.level), str(pair.seed), pair.level - pair.reference, *pair.runs, own(each, pair.seed)]
        for panel, group in inference.by_group(contrasts).items()
        for each in group
        for pair in each.pairs
        if np.isfinite(pair.level - pair.reference)
    ]
    table = pd.DataFrame(rows, columns=[PANEL, HUE, "seed", "mean", "run", "reference run", "with"])
    return table.assign(x=table[HUE], panel=table[PANEL].map(spaced), command=table["run"].map(commands))
