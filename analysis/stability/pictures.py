"""What K does to the noise of a step: the part of the minibatch loss's variance that it removes, beside all of it."""

from pathlib import Path

import pandas as pd

from analysis import style
from analysis.picture import HUE, Picture, X, labels, of_cells, palette
from analysis.statistics import finished, intervals
from analysis.store import CELL, EPOCH, B
from src import schema
from src.writing import render

TOTAL, REMOVED = schema.TRAIN_LOSS_VARIANCE, schema.TRAIN_LOSS_VARIANCE_MC
FIRST = 2  # in the first epoch the loss falls so fast that its trend is most of the variance
ALL = "whole variance, any K"


def pictures(runs: pd.DataFrame, history: pd.DataFrame) -> list[Picture]:
    """The noise of the minibatch loss of one setting, of its marked runs and their history."""
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"]) & (history[EPOCH] >= 1)]
    total = intervals.t_intervals(history[history[EPOCH] >= FIRST], [B, EPOCH], TOTAL.key, log=True)
    total = total.assign(panel=labels(total[B]), hue=ALL, runs=total["n"], n=float("nan"))
    removed = of_cells(intervals.t_intervals(history, [*CELL, EPOCH], REMOVED.key, log=True))
    both = pd.concat([total, removed.assign(runs=removed["n"])])
    colours = {**palette(usable), ALL: style.SEED_LINE}
    title, y = "What K does to the noise of a step", f"variance of losses [{TOTAL.unit}]"
    caption = render(Path(__file__).with_name("stability.md.j2"))
    tips = {HUE: "part", X: "epoch", "runs": "runs", "mean": "variance"}
    return [
        Picture("stability", title, caption, both.assign(x=both[EPOCH]), "epoch", y, colours, log="y", tips=tips),
    ]
