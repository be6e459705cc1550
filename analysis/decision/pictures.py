"""The figure that carries the answer, and the same difference along training: a panel per group, a colour per value."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import style
from analysis.decision.numbers import Decision
from analysis.picture import AXIS, HUE, PANEL, POINTS, Picture, X
from analysis.statistics.amounts import EPOCHS, SECONDS
from analysis.store import CELL, SEED
from src import inference
from src.inference import Contrast
from src.writing import label, render

HERE = Path(__file__).parent
OF_PAIRS = {"n": "pairs", "mean": "difference"}
OF_SEED = {"seed": "seed", "run": "run", "reference run": "reference run", "command": "repeat by", "with": "with"}


def pictures(decision: Decision, commands: Mapping[str, str]) -> list[Picture]:
    """The difference at the end and along training; none where nothing is compared.

    Args:
        commands: by run, what repeats it.
    """
    found = decision.contrasts
    if not found:
        return []
    design = found[0].judgement.design
    # Groups may lack values, so that the reference of one is a value of another.
    reference = " or ".join(dict.fromkeys(label(design.factor, each.reference) for each in found))
    # A value has one colour in all figures, so the reference has one too.
    levels = {level for each in found for level in (each.level, each.reference)}
    ordered = sorted(levels, key=lambda level: (isinstance(level, str), level))
    colours = style.sequential([label(design.factor, level) for level in ordered])
    colours = {value: colours[value] for value in dict.fromkeys(label(design.factor, each.level) for each in found)}
    y = f"difference from {reference} [{inference.UNITS.get(design.metric, design.metric)}]"
    along = decision.along.assign(hue=[label(design.factor, level) for level in decision.along["level"]])
    end = Picture(
        "difference", "Difference at the end of training", render(HERE / "difference.txt.j2", reference=reference),
        end_table(found), "", y, colours, POINTS, margin=design.margin, seeds=seed_table(found, commands),
        tips={HUE: "value", **OF_PAIRS, "interval": "interval", "verdict": "at the study's margin", **OF_SEED},
    )  # fmt: skip
    path = Picture(
        "difference_path", "Difference along training", render(HERE / "difference_path.txt.j2"),
        along.rename(columns={"place": PANEL}), "", y, colours, switch=AXIS, rows=(EPOCHS.axis, SECONDS.axis),
        margin=design.margin, tips={HUE: "value", X: "amount", **OF_PAIRS},
    )  # fmt: skip
    return [end, path]


def end_table(contrasts: Sequence[Contrast]) -> pd.DataFrame:
    """A row per contrast: its panel, value, mean difference, the interval that tells, its text, and the verdict."""
    rows = [
        {PANEL: each.place, HUE: label(judged.design.factor, each.level), "n": judged.pairs.n}
        | {"mean": judged.pairs.mean, "ci_low": judged.telling.low, "ci_high": judged.telling.high}
        | {"interval": str(judged.telling), "verdict": ", ".join(judged.stated)}
        for each in contrasts
        for judged in [each.judgement]
    ]
    table = pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)
    return table.assign(x=table[HUE])


def seed_table(contrasts: Sequence[Contrast], commands: Mapping[str, str]) -> pd.DataFrame:
    """A row per pair: its panel, value, seed and difference, both runs, and what repeats that of the value."""
    rows = []
    for each in contrasts:
        factor = each.judgement.design.factor
        for pair in (pair for pair in each.pairs if np.isfinite(pair.level - pair.reference)):
            own = {**each.group, factor: each.level, SEED: pair.seed}
            given = " ".join(f"{key}={own[key]}" for key in dict.fromkeys([*CELL, factor, SEED]))
            value = label(factor, each.level)
            rows.append([each.place, value, str(pair.seed), pair.level - pair.reference, *pair.runs, given])
    table = pd.DataFrame(rows, columns=[PANEL, HUE, "seed", "mean", "run", "reference run", "with"])
    return table.assign(x=table[HUE], command=table["run"].map(commands))
