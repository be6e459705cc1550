"""The look that all figures share: readable in print and by colour-blind readers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from src import schema

Colour = tuple[float, float, float]

INK = "#23303a"
MUTED = "#6b7780"
SEED_LINE = "#b4bcc2"
# Inches: the report's width, and the least and largest width of a facet, which depends on their number.
PAGE = 10.5
PANEL_WIDTH = (2.5, 3.6)
PANEL_HEIGHT = 2.9
BAND_OPACITY = 0.18
LINE_WIDTHS = (2.6, 1.4)  # of the smallest and the largest K
# Lightness falls along each, so the order survives in grey; the two are told apart by hue.
K_STOPS = ("#46b87b", "#24878e", "#38598c", "#440f56")
B_STOPS = ("#e59a4f", "#c4503e", "#6b2346")

SETTINGS = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "regular",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e7ebee",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.titlesize": 11,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    # The same tables give the same bytes: without a salt the SVG has random ids.
    "svg.hashsalt": schema.EXPERIMENT,
}


class Picture(NamedTuple):
    """A figure to draw: the stem of its file names, the table behind it, how to draw it, and its caption."""

    stem: str
    table: pd.DataFrame
    draw: Callable[[], Figure]
    caption: str


@contextmanager
def applied() -> Iterator[None]:
    """Figures made and saved inside have this look; matplotlib's settings outside stay as they were."""
    with mpl.rc_context(SETTINGS):
        yield


def sequential(levels: Iterable[int], stops: Sequence[str] = K_STOPS) -> dict[int, Colour]:
    """A colour per level of an ordered quantity, light to dark; the lightest is still readable on white."""
    ordered = sorted(set(levels))
    return dict(zip(ordered, sns.blend_palette(stops, len(ordered)), strict=True))
