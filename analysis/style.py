"""The look that all figures share: readable in print and by colour-blind readers."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import seaborn as sns

from src import schema

Colours = dict[str, str]  # by label
INK = "#23303a"
MUTED = "#6b7780"
GRID = "#e7ebee"
SEED_LINE = "#b4bcc2"
BAND_OPACITY = 0.18
# Lightness falls along them, so the order survives in grey.
STOPS = ("#46b87b", "#24878e", "#38598c", "#440f56")

SETTINGS = sns.axes_style("whitegrid") | {
    "savefig.dpi": 150,
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "figure.titlesize": 11,
    "legend.frameon": False,
    # The same tables give the same bytes: without a salt the SVG has random ids.
    "svg.hashsalt": schema.EXPERIMENT,
    "svg.fonttype": "none",  # text is text, which is smaller and can be searched
}


def applied() -> AbstractContextManager[None]:
    """Figures made and saved inside have this look; matplotlib's settings outside stay as they were."""
    return mpl.rc_context(SETTINGS)


def sequential(levels: Iterable[Any]) -> Colours:
    """A colour per level, light to dark, by its text. Numbers are sorted, words keep their order."""
    ordered = list(dict.fromkeys(levels))
    ordered = ordered if any(isinstance(level, str) for level in ordered) else sorted(ordered)
    colours = sns.blend_palette(STOPS, len(ordered)).as_hex()
    return {str(level): c for level, c in zip(ordered, colours, strict=True)}
