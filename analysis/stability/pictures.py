"""What K does to the noise of a step: the part of the minibatch loss's variance that it removes, beside all of it."""

import pandas as pd

from analysis import style
from analysis.picture import HUE, Picture, X
from analysis.statistics import finished, intervals
from analysis.store import CELL, EPOCH, B, K
from src import schema

TOTAL, REMOVED = schema.TRAIN_LOSS_VARIANCE, schema.TRAIN_LOSS_VARIANCE_MC
FIRST = 2  # in the first epoch the loss falls so fast that its trend is most of the variance
ALL = "all of it, any K"
CAPTION = (
    "What K does to stability: in colour the Monte Carlo part of the variance of the minibatch losses, which K "
    "divides; in grey all of that variance, from epoch 2 on; the rest is the choice of the images. Geometric means "
    "over seeds, for all of it over all runs, with 95 % t-intervals."
)


def pictures(runs: pd.DataFrame, history: pd.DataFrame, data: str) -> list[Picture]:
    """The noise of the minibatch loss of one setting, of its marked runs and their history."""
    usable = finished(runs)
    history = history[history["run_id"].isin(usable["run_id"]) & (history[EPOCH] >= 1)]
    total = intervals.t_intervals(history[history[EPOCH] >= FIRST], [B, EPOCH], TOTAL.key, log=True)
    total = total.assign(hue=ALL, runs=total["n"], n=float("nan"))
    removed = intervals.t_intervals(history, [*CELL, EPOCH], REMOVED.key, log=True)
    both = pd.concat([total, removed.assign(hue="K = " + removed[K].astype(str), runs=removed["n"])])
    both = both.assign(panel="B = " + both[B].astype(str), x=both[EPOCH])
    colours = {**style.sequential(usable[K], "K = "), ALL: style.SEED_LINE}
    title, y = f"What K does to the noise of a step\n{data}", f"variance of losses [{TOTAL.unit}]"
    tips = {HUE: "part", X: "epoch", "runs": "runs", "mean": "variance"}
    return [Picture("stability", title, CAPTION, both, "epoch", y, colours, log="y", tips=tips)]
