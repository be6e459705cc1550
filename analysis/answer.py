"""Rebuild the answer over all studies: python -m analysis.answer

Reads results/*/ and compares, in each setting of each study, every value of mc_samples with the largest. Writes the
table into README.md and docs/answer.md, between the lines <!-- answer --> and <!-- end of answer -->, and the figure
docs/figures/answer.png. The text around them is written by hand; python -m analysis.check compares its numbers.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import probe, style
from analysis.display import interval
from analysis.report import Findings, Question, compute
from analysis.report.writing import told_or_refused
from analysis.statistics import SETTING
from analysis.statistics.amounts import SECONDS
from analysis.store import B, K, ReportError
from src import ROOT, inference, schema
from src.inference import Contrast, Verdict
from src.writing import NONE, label, signed, significant

PAGES = ("README.md", "docs/answer.md")
BLOCK = re.compile(r"(<!-- answer -->\n).*?(<!-- end of answer -->)", re.DOTALL)
HEADS = ("setting", "smallest K not worse", "differences and intervals", "pairs", "at equal seconds", "K* of the probe",
         "seconds per epoch")  # fmt: skip
ROW_INCHES, BELOW = 0.42, 0.13  # of a row, and how far under its interval the seeds are drawn, in rows
TICKS = (1, 3, 10, 30, 100)  # nats/image, beside the margin


class Setting(NamedTuple):
    """What a study compares in one setting.

    study: its name. place: which setting; empty where there is one. ended, timed: a contrast for each smaller K with
    the largest, at the end of training and at equal seconds. best: K* by the last probe of the smallest K.
    """

    study: str
    place: str
    ended: list[Contrast]
    timed: list[Contrast]
    best: str

    @property
    def name(self) -> str:
        return ", ".join(filter(None, [self.study, self.place]))


def settings(results: Path) -> list[Setting]:
    """Those of all studies that compare values of mc_samples with the largest, by name; first those at equal epochs.

    Raises:
        ReportError: the tables of a study cannot be read.
    """
    found = [each for file in sorted(results.glob("*/runs.parquet")) for each in of_study(file.parent)]
    return sorted(found, key=lambda setting: bool(setting.ended[0].judgement.design.covarying))


def of_study(folder: Path) -> Iterator[Setting]:
    """Those of a study; none where it compares something else."""
    found = compute(Question([str(folder)], schema.EXPERIMENT, []))
    ended, timed = map(inference.by_group, (found.decision.contrasts, found.decision.matched[SECONDS]))
    for place, group in ended.items():
        design = group[0].judgement.design
        if (design.factor, design.reference) == (K, "max"):
            yield Setting(folder.name, place, group, timed[place], best(found, group[0]))


def best(found: Findings, smallest: Contrast) -> str:
    """K* of the last probe of the runs of the smallest K, with its interval; a dash without one."""
    cell = {K: smallest.level, B: smallest.group[B]}
    runs = found.runs[found.runs["run_id"].isin([pair.runs[0] for pair in smallest.pairs])]
    last = probe.last_probe(probe.headline(found.points))
    mine = last[last[SETTING].isin(runs[SETTING]) & (last[probe.PART] == "all")]
    points = mine[(mine[list(cell)] == pd.Series(cell)).all(axis=1)].dropna(subset=probe.BEST_K).to_dict("records")
    return f"{significant(points[0][probe.BEST_K])} ({interval(points[0], f'{probe.BEST_K}_')})" if points else NONE


def row(setting: Setting, studies: str) -> list[str]:
    """The row of a setting; studies: their folder, as the page has it."""
    link = f"[{setting.study}]({studies}/{setting.study}/README.md)"
    return [
        ", ".join(filter(None, [link, setting.place])),
        enough(setting.ended),
        "; ".join(map(difference, setting.ended)),
        ", ".join(dict.fromkeys(str(each.judgement.pairs.n) for each in setting.ended)),
        at_equal_seconds(setting.timed),
        setting.best,
        price(setting.ended),
    ]


def enough(ended: Sequence[Contrast]) -> str:
    """The value of K that is enough."""
    least = inference.enough(ended)
    return "none shown" if least is None else called(least)


def called(level: float | str) -> str:
    return label(K, level)


def difference(each: Contrast) -> str:
    """The mean difference from the largest, with the interval on which its verdict rests, or why there is none."""
    return f"{called(each.level)} {signed(each.judgement.pairs.mean)} ({each.note or each.judgement.telling})"


def at_equal_seconds(timed: Sequence[Contrast]) -> str:
    """Which values are proven better or worse than the largest at equal seconds, with their differences.

    A dash where no pair has seconds in common: the larger K is still in its first epoch.
    """
    said = [
        f"{called(each.level)} {verdict} ({signed(each.judgement.pairs.mean)})"
        for each in timed
        for verdict in (Verdict.BETTER, Verdict.WORSE)
        if each.judgement.proves(verdict)
    ]
    return ", ".join(said) or ("undecided" if any(each.pairs for each in timed) else NONE)


def price(ended: Sequence[Contrast]) -> str:
    """Seconds of an epoch at every K."""
    known = {each.level: each.epoch_seconds[0] for each in ended} | {ended[0].reference: ended[0].epoch_seconds[1]}
    return ", ".join(f"{significant(seconds)} at {level:g}" for level, seconds in known.items())


def table(found: Sequence[Setting], studies: str) -> str:
    """The table, in Markdown; studies: their folder, as the page has it."""
    rows = [HEADS, ["---"] * len(HEADS), *(row(each, studies) for each in found)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def draw(found: Sequence[Setting]) -> Figure:
    """Differences from the largest K, a row per setting and a colour per K: seeds, means, intervals, the margin."""
    contrasts = [each for setting in found for each in setting.ended]
    margin, levels = contrasts[0].judgement.design.margin, {each.level for each in contrasts}
    colours = style.sequential(levels | {each.reference for each in contrasts})
    figure = Figure(figsize=(8.5, 1.2 + ROW_INCHES * len(found)), layout="constrained")
    ax = figure.subplots()
    ax.axvspan(-margin, margin, color=style.GRID)
    ax.axvline(0, color=style.MUTED, linewidth=1)
    for place, setting in enumerate(found):
        for each, height in zip(setting.ended, np.linspace(-0.18, 0.18, len(setting.ended)), strict=True):
            y, colour, ends = place + height, colours[str(each.level)], each.judgement.telling
            seeds = [pair.level - pair.reference for pair in each.pairs]
            ax.plot(seeds, [y + BELOW] * len(seeds), "o", color=colour, markersize=3, alpha=0.6, markeredgewidth=0)
            if np.isfinite(ends.low):
                ax.plot([ends.low, ends.high], [y, y], color=colour, linewidth=1.5)
            ax.plot(each.judgement.pairs.mean, y, "o", color=colour, markersize=5)
    for level in sorted(levels, key=float):
        ax.plot([], [], "o", color=colours[str(level)], label=f"K = {level}")
    ax.set(xlabel="final test NLL, difference from the largest K [nats/image]", ylim=(len(found) - 0.5, -0.5))
    # Linear within the margin: settings differ by a factor of a hundred.
    ax.set_xscale("symlog", linthresh=margin)
    reach = max(map(abs, ax.get_xlim()))
    marks = [mark for mark in (margin, *TICKS) if margin <= mark <= reach]
    ax.set_xticks([0, *(sign * mark for mark in marks for sign in (-1, 1))])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.set_yticks(range(len(found)), [each.name for each in found])
    ax.grid(visible=False, axis="y")
    figure.legend(loc="outside upper right", ncols=len(levels))
    return figure


def rebuild(results: Path, root: Path) -> list[Path]:
    """Write table and figure, and return the files. Raises ReportError, or OSError where a page cannot be written."""
    found = settings(results)
    if not found:
        raise ReportError(f"No study compares values of {K}. Expected folders of `make results`. Received: {results}.")
    pages, figure = [root / page for page in PAGES], root / "docs" / "figures" / "answer.png"
    for page in pages:
        text = page.read_text(encoding="utf-8")
        if not BLOCK.search(text):
            raise ReportError(f"{page} has no place for the table. Expected {BLOCK.pattern}. Put both lines there.")
        block = f"\\1\n{table(found, os.path.relpath(results, page.parent))}\n\\2"
        page.write_text(BLOCK.sub(block, text), encoding="utf-8")
    with style.applied():
        draw(found).savefig(figure)
    return [*pages, figure]


def main(arguments: list[str] | None = None) -> int:
    """Rebuild. Returns 0 on success, 2 with one message on stderr where it cannot be."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.answer", description=__doc__, formatter_class=raw)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="FOLDER", help="where studies lie")
    options = parser.parse_args(arguments)
    return told_or_refused(lambda: rebuild(options.results, ROOT))


if __name__ == "__main__":
    sys.exit(main())
