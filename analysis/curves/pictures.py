"""What training costs and reaches, and what the models make: prices, curves and pictures.

Means are over seeds, with t-intervals where there are two or more. `data` is what the runs were trained on, for titles.
"""

from collections.abc import Mapping

import pandas as pd

from analysis import style
from analysis.curves.numbers import by_amount, prices
from analysis.display import labelled
from analysis.picture import AXIS, HUE, IMAGES, POINTS, Picture, X
from analysis.statistics import AXES, EPOCH_SECONDS, SETTING, finished
from analysis.statistics.amounts import EPOCHS, EVALUATIONS, SECONDS
from analysis.statistics.completeness import cost_lines
from analysis.store import SEED, B, K
from analysis.style import Colours
from src import schema
from src.schema import Quantity

PRICE = (
    "The {nll} at the end against what the whole training took, means over seeds with 95 % t-intervals. The line joins "
    "the cells that no cheaper one beats."
)
COST = (
    "Median seconds of an epoch against K, with a line by relative least squares, without compilation, tests and "
    "probes. Runs that shared a machine slowed each other down."
)
PATHS = (
    "The {test} after each epoch, which takes few draws, against the training up to there, from the fork on where "
    "there is one. Bands are 95 % t-intervals over seeds, which differ from each other by more than pairs do."
)
MADE = (
    "What one run per K has made of it (n = 1): a test digit with its K sampled reconstructions, the test images in "
    "the latent space, and the decoder's means over a grid of it."
)
COSTS = (SECONDS, EVALUATIONS)
SHAPES = "B"
TIPS = {HUE: "draws", SHAPES: "batch size", X: "amount", "n": "seeds", "mean": "mean"}


def pictures(
    runs: pd.DataFrame, history: pd.DataFrame, images: Mapping[str, pd.DataFrame], kind: str, data: str
) -> list[Picture]:
    """The pictures of one setting, of its marked runs, their history and their store.pictures() by the name of the
    file. kind says what the NLL is.
    """
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"])]
    final, test = labelled(schema.FINAL_TEST_NLL, kind), labelled(schema.TEST_NLL, kind)
    colours = style.sequential(usable[K], "K = ")
    return [
        price(prices(usable, history), colours, final, data),
        cost(usable, colours, data),
        paths(by_amount(history), colours, test, data),
        made(images, data),
    ]


def named(table: pd.DataFrame, panels: bool) -> pd.DataFrame:
    """The table with its panels, one for each B or one for all, hues, and B as text, for shapes."""
    batch = table[B].astype(str)
    return table.assign(panel="B = " + batch if panels else "", hue="K = " + table[K].astype(str), B=batch)


def price(cells: pd.DataFrame, colours: Colours, nll: Quantity, data: str) -> Picture:
    """prices() against the cost that the reader chooses; the line joins the front."""
    rows = named(cells, panels=False)
    fronts = {axis: rows["mean"].where(rows[f"front_{axis.key}"]) for axis in COSTS}
    both = pd.concat([rows.assign(x=rows[axis.key], axis=axis.axis, line=front) for axis, front in fronts.items()])
    caption, shown = PRICE.format(nll=nll.label), tuple(axis.axis for axis in COSTS)
    return Picture(
        "price", f"Price: {nll.label}\n{data}", caption, both, "", nll.axis, colours, POINTS,
        switch=AXIS, rows=shown, marks=SHAPES, log="x", tips=TIPS,
    )  # fmt: skip


def cost(usable: pd.DataFrame, colours: Colours, data: str) -> Picture:
    """The median time of an epoch of each K and B, with cost_lines()."""
    cells = usable.groupby([SETTING, B, K])[EPOCH_SECONDS.key].agg(mean="median", n="count").reset_index()
    cells = named(cells.merge(cost_lines(usable), "left", [SETTING, B]), panels=False)
    cells = cells.assign(line=cells["seconds_fixed"] + cells["seconds_per_draw"] * cells[K], x=cells[K].astype(float))
    return Picture(
        "cost", f"Time of an epoch\n{data}", COST, cells, schema.MC_SAMPLES.axis, EPOCH_SECONDS.axis, colours, POINTS,
        marks=SHAPES, floor=0.0, tips={HUE: "draws", SHAPES: "batch size", "n": "seeds", "mean": "seconds"},
    )  # fmt: skip


def paths(means: pd.DataFrame, colours: Colours, nll: Quantity, data: str) -> Picture:
    """by_amount() against the amount of training that the reader chooses."""
    rows = named(means, panels=True)
    amounts = pd.concat([rows.assign(x=rows[axis.key], axis=axis.axis) for axis in AXES])
    caption, shown = PATHS.format(test=nll.label), (EPOCHS.axis, SECONDS.axis)
    title = f"{nll.label} along training\n{data}"
    return Picture("paths", title, caption, amounts, "", nll.axis, colours, switch=AXIS, rows=shown, tips=TIPS)


def made(images: Mapping[str, pd.DataFrame], data: str) -> Picture:
    """store.pictures(): a row per kind of picture, a column per K."""
    rows = pd.concat([shown.assign(x=name) for name, shown in images.items()]).sort_values(K, kind="stable")
    notes = "B = " + rows[B].astype(str) + ", seed " + rows[SEED].astype(str)
    rows = rows.assign(panel="K = " + rows[K].astype(str), note=notes)
    return Picture("made", f"One run per K (n = 1)\n{data}", MADE, rows, "", "", {}, IMAGES)
