"""The figure of `benchmarks.speed`: `python -m benchmarks.figure RESULTS.json ... FIGURE.png` (or .svg, .pdf)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from analysis import style
from benchmarks.contenders import BASELINE
from benchmarks.summary import Results, Row, summarize

TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50)
SPREAD = 0.5  # of the distance between two contenders, over the batch sizes


def draw(rows: Sequence[Row]) -> Figure:
    """Seconds per epoch over this project's: a panel per K, a line per contender, a point per B, with its range.

    Args:
        rows: of `summarize`; those without this project beside them are left out.
    """
    shown = [row for row in rows if row.time_ratio]
    contenders = list(dict.fromkeys(row.cell.contender for row in shown if row.cell.contender != BASELINE))
    panels = sorted({row.cell.mc_samples for row in shown})
    sizes = sorted({row.cell.batch_size for row in shown})
    colours = style.sequential(sizes)
    figure = Figure(figsize=(2.0 + 2.7 * len(panels), 1.6 + 0.36 * len(contenders)), layout="constrained")
    axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for ax, mc_samples in zip(axes, panels, strict=True):
        ax.axvline(1, color=style.INK, linewidth=1)
        for number, size in enumerate(sizes):
            shift = SPREAD * ((number + 0.5) / len(sizes) - 0.5)
            points = [
                (row.time_ratio, contenders.index(row.cell.contender) + shift)
                for row in shown
                if row.cell[1:] == (mc_samples, size) and row.cell.contender != BASELINE
            ]
            medians = [ratio.median for ratio, _ in points]
            ranges = [[r.median - r.low for r, _ in points], [r.high - r.median for r, _ in points]]
            heights = [height for _, height in points]
            ax.errorbar(
                medians, heights, xerr=ranges, fmt="o", markersize=5, color=colours[str(size)], label=f"B={size}"
            )
        ax.set(title=f"K={mc_samples}", xscale="log", xlabel=f"time of an epoch / {BASELINE}")
        ax.xaxis.set(major_locator=FixedLocator(TICKS), minor_locator=NullLocator())
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[0].set_yticks(range(len(contenders)), contenders)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(sizes))
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, draw, save."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.figure", description="Time of every contender beside this project's, by K and B."
    )
    parser.add_argument("results", type=Path, nargs="+", help="what `python -m benchmarks.speed --output` wrote")
    parser.add_argument("figure", type=Path, help="the file to write; its suffix gives the format")
    options = parser.parse_args(arguments)
    with style.applied():
        draw(summarize(Results.read(*options.results))).savefig(options.figure)


if __name__ == "__main__":
    main()
