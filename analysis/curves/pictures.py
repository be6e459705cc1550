"""What training costs and reaches, and what the models make: prices, curves and pictures.

Means are over seeds, with t-intervals where there are two or more.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.curves.numbers import by_amount, prices
from analysis.display import labelled
from analysis.picture import AXIS, HUE, IMAGES, POINTS, Picture, X, labels, of_cells, palette
from analysis.statistics import AXES, CELL_OF, EPOCH_SECONDS, SETTING, finished
from analysis.statistics.amounts import EPOCHS, EVALUATIONS, SECONDS
from analysis.statistics.completeness import cost_lines
from analysis.store import SEED, B, K
from analysis.style import Colours
from src import schema
from src.schema import Quantity
from src.writing import render

HERE = Path(__file__).parent
COSTS = (SECONDS, EVALUATIONS)
SHAPES = "B"
TIPS = {HUE: "draws", SHAPES: "batch size", X: "amount", "n": "seeds", "mean": "mean"}


def pictures(runs: pd.DataFrame, history: pd.DataFrame, images: Mapping[str, pd.DataFrame], kind: str) -> list[Picture]:
    """The pictures of one setting, of its marked runs, their history and their store.pictures() by the name of the
    file. kind says what the NLL is.
    """
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"])]
    final, test = labelled(schema.FINAL_TEST_NLL, kind), labelled(schema.TEST_NLL, kind)
    colours = palette(usable)
    return [
        price(prices(usable, history), colours, final),
        cost(usable, colours),
        paths(by_amount(history), colours, test),
        made(images),
    ]


def price(cells: pd.DataFrame, colours: Colours, nll: Quantity) -> Picture:
    """prices() against the cost that the reader chooses; the line joins the front."""
    rows = of_cells(cells).assign(panel="", B=labels(cells[B]))
    fronts = {axis: rows["mean"].where(rows[f"front_{axis.key}"]) for axis in COSTS}
    both = pd.concat([rows.assign(x=rows[axis.key], axis=axis.axis, line=front) for axis, front in fronts.items()])
    caption, shown = render(HERE / "price.md.j2", nll=nll.label), tuple(axis.axis for axis in COSTS)
    return Picture(
        "price", f"Price: {nll.label}", caption, both, "", nll.axis, colours, POINTS,
        switch=AXIS, rows=shown, marks=SHAPES, log="x", tips=TIPS,
    )  # fmt: skip


def cost(usable: pd.DataFrame, colours: Colours) -> Picture:
    """The median time of an epoch of each K and B, with cost_lines()."""
    cells = usable.groupby(CELL_OF)[EPOCH_SECONDS.key].agg(mean="median", n="count").reset_index()
    cells = of_cells(cells.merge(cost_lines(usable), "left", [SETTING, B]))
    line = cells["seconds_fixed"] + cells["seconds_per_draw"] * cells[K]
    cells = cells.assign(panel="", B=labels(cells[B]), line=line, x=cells[K].astype(float))
    return Picture(
        "cost", "Time of an epoch", render(HERE / "cost.md.j2"), cells, schema.MC_SAMPLES.axis,
        EPOCH_SECONDS.axis, colours, POINTS, marks=SHAPES, floor=0.0,
        tips={HUE: "draws", SHAPES: "batch size", "n": "seeds", "mean": "seconds"},
    )  # fmt: skip


def paths(means: pd.DataFrame, colours: Colours, nll: Quantity) -> Picture:
    """by_amount() against the amount of training that the reader chooses."""
    rows = of_cells(means)
    amounts = pd.concat([rows.assign(x=rows[axis.key], axis=axis.axis) for axis in AXES])
    caption, title = render(HERE / "paths.md.j2", test=nll.label), f"{nll.label} along training"
    shown = (EPOCHS.axis, SECONDS.axis)
    return Picture("paths", title, caption, amounts, "", nll.axis, colours, switch=AXIS, rows=shown, tips=TIPS)


def made(images: Mapping[str, pd.DataFrame]) -> Picture:
    """store.pictures(): a row per kind of picture, a column per K."""
    rows = pd.concat([shown.assign(x=name) for name, shown in images.items()]).sort_values(K, kind="stable")
    notes = [f"{batch}, {seed}" for batch, seed in zip(labels(rows[B]), labels(rows[SEED]), strict=True)]
    rows = rows.assign(panel=labels(rows[K]), note=notes)
    title, caption = "One run per K (n=1)", render(HERE / "made.md.j2")
    return Picture("made", title, caption, rows, "", "", {}, IMAGES, switch=X, rows=tuple(images))
