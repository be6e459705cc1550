"""The answer over all studies: in each setting, every mc_samples against the largest, as a table and a figure."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import probe, style
from analysis.publish.sources import studies
from analysis.report import Findings
from analysis.statistics import SETTING
from analysis.statistics.amounts import SECONDS
from analysis.store import B, K
from src import inference
from src.inference import Contrast
from src.writing import label, render

ROW_INCHES, BELOW = 0.42, 0.13  # of a row, and how far under its interval the seeds are drawn, in rows
TICKS = (1, 3, 10, 30, 100)  # nats/image, beside the margin


class Setting(NamedTuple):
    """What a study compares in one setting.

    study: its name. place: which setting; empty where there is one. ended, timed: a contrast for each smaller K with
    the largest, at the end of training and at equal seconds. probed: the last probe of the smallest K, with K* and its
    interval; None without one.
    """

    study: str
    place: str
    ended: list[Contrast]
    timed: list[Contrast]
    probed: dict[Any, Any] | None


def settings(results: Path) -> list[Setting]:
    """Those of all studies that compare values of mc_samples with the largest; first those at equal epochs."""
    found = [
        Setting(folder.name, place, group, timed[place], last_probe(study, group[0]))
        for folder, study in studies(results).items()
        for timed in [inference.by_group(study.decision.matched[SECONDS])]
        for place, group in inference.by_group(study.decision.contrasts).items()
        if (group[0].judgement.design.factor, group[0].judgement.design.reference) == (K, "max")
    ]
    return sorted(found, key=lambda setting: bool(setting.ended[0].judgement.design.covarying))


def last_probe(found: Findings, smallest: Contrast) -> dict[Any, Any] | None:
    """The last probe of the runs of the smallest K, over the whole gradient; None where it has no K*."""
    cell = {K: smallest.level, B: smallest.group[B], probe.PART: "all"}
    runs = found.runs[found.runs["run_id"].isin([pair.runs[0] for pair in smallest.pairs])]
    last = probe.last_probe(probe.headline(found.points))
    last = last[last[SETTING].isin(runs[SETTING])].dropna(subset=probe.BEST_K)
    points = last[(last[list(cell)] == pd.Series(cell)).all(axis=1)].to_dict("records")
    return points[0] if points else None


def table(results: Path, folder: Path) -> str:
    """The table, in Markdown, with links from this folder."""
    template, studies = Path(__file__).with_name("answer.md.j2"), os.path.relpath(results, folder)
    return render(template, settings=settings(results), studies=studies, factor=K, enough=inference.enough)


def draw(found: Sequence[Setting]) -> Figure:
    """Differences from the largest K, a row per setting and a colour per K: seeds, means, intervals, the margin."""
    contrasts = [each for setting in found for each in setting.ended]
    margin, levels = contrasts[0].judgement.design.margin, {each.level for each in contrasts}
    colours = style.sequential(levels | {each.reference for each in contrasts})
    figure = Figure(figsize=(8.5, 1.2 + ROW_INCHES * len(found)), layout="constrained")
    ax = figure.subplots()
    ax.axvspan(-margin, margin, color=style.GRID)
    ax.axvline(0, color=style.MUTED, linewidth=1)
    for row, setting in enumerate(found):
        for each, height in zip(setting.ended, np.linspace(-0.18, 0.18, len(setting.ended)), strict=True):
            y, colour, ends = row + height, colours[str(each.level)], each.judgement.telling
            seeds = [pair.level - pair.reference for pair in each.pairs]
            ax.plot(seeds, [y + BELOW] * len(seeds), "o", color=colour, markersize=3, alpha=0.6, markeredgewidth=0)
            if np.isfinite(ends.low):
                ax.plot([ends.low, ends.high], [y, y], color=colour, linewidth=1.5)
            ax.plot(each.judgement.pairs.mean, y, "o", color=colour, markersize=5)
    for level in sorted(levels, key=float):
        ax.plot([], [], "o", color=colours[str(level)], label=label(K, level))
    ax.set(xlabel="final test NLL, difference from the largest K [nats/image]", ylim=(len(found) - 0.5, -0.5))
    # Linear within the margin: settings differ by a factor of a hundred.
    ax.set_xscale("symlog", linthresh=margin)
    reach = max(map(abs, ax.get_xlim()))
    marks = [mark for mark in (margin, *TICKS) if margin <= mark <= reach]
    ax.set_xticks([0, *(sign * mark for mark in marks for sign in (-1, 1))])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.set_yticks(range(len(found)), [", ".join(filter(None, each[:2])) for each in found])
    ax.grid(visible=False, axis="y")
    figure.legend(loc="outside upper right", ncols=len(levels))
    return figure
