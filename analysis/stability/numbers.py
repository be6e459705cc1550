"""How steadily runs train: per run from its history, then over the seeds of a cell.

The path of a run is its test NLL after each epoch. NaN counts as infinite, and the path of a diverged run ends at
infinity. Seeds are few and these measures are skewed, so a cell has the median and the lowest and highest value.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics import CELL_OF, COUNTED, DECODER_EVALUATIONS, SETTING, finished, intervals
from analysis.statistics.intervals import CONFIDENCE
from analysis.store import EPOCH, RUN, B, K
from src import schema
from src.schema import Quantity
from src.variance import moments

WORST_STEP = Quantity("stability/worst_step", "nats/image", "worst step between epochs")
STEP_TO_STEP = Quantity("stability/step_to_step", "nats/image", "mean size of a step between epochs")
SHARE_WORSE = Quantity("stability/share_worse", "", "share of epochs that got worse")
DRAWDOWN = Quantity("stability/drawdown", "nats/image", "largest rise above the best so far")
SPIKES = Quantity("stability/spikes", "steps", "spikes of the minibatch loss")
SPIKE_RATE = Quantity("stability/spike_rate", "1/1000 judged steps", "spikes of the minibatch loss")
OF_RUN = (WORST_STEP, STEP_TO_STEP, SHARE_WORSE, DRAWDOWN, SPIKES, SPIKE_RATE)
LOSS_SD = Quantity("train/loss_sd_detrended", "nats/image", "sd of minibatch losses around their trend")
LOSS_SD_MC = Quantity("train/loss_sd_mc", "nats/image", "its Monte Carlo part, what K removes")
SDS = {LOSS_SD: schema.TRAIN_LOSS_VARIANCE_DETRENDED, LOSS_SD_MC: schema.TRAIN_LOSS_VARIANCE_MC}
ENDED, DIVERGED = "ended", "diverged"
NLL, LOSS = schema.TEST_NLL.key, schema.TRAIN_LOSS.key
FINAL = schema.FINAL_TEST_NLL.key


def stability_by_cell(runs: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of marked runs.

    Returns:
        CELL_OF; of OF_RUN and the active units KEY_n, KEY_median, KEY_lowest, KEY_highest; and the columns of
        divergence(), seed_sd() and SDS (last epoch, roots of the mean variances).
    """
    measured, usable = per_run(runs, history), finished(runs)
    ended = measured[measured[ENDED]]
    result = measured[CELL_OF].drop_duplicates().sort_values(CELL_OF, ignore_index=True)
    for table in (
        *(spread(ended, quantity.key) for quantity in OF_RUN),
        spread(usable, schema.FINAL_ACTIVE_UNITS.key),
        divergence(ended),
        seed_sd(usable),
        *(root_mean(usable, *pair) for pair in SDS.items()),
    ):
        result = result.merge(table, "left", CELL_OF)
    return result


def per_run(runs: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """One row per counted run: OF_RUN, ended (finished or diverged), diverged."""
    epochs = history.reindex(columns=["run_id", EPOCH, NLL, LOSS, schema.TRAIN_SPIKES.key])
    epochs = epochs[epochs[EPOCH] >= 1].sort_values(EPOCH)
    of_run = dict(list(epochs.groupby("run_id")))
    rows = []
    for run in runs[runs[COUNTED]].to_dict("records"):
        mine = of_run.get(run["run_id"], epochs.head(0))
        stopped, done = run["status"] == schema.DIVERGED, run["status"] == schema.FINISHED
        row = {key: run[key] for key in ("run_id", SETTING, *RUN)} | path(mine[NLL], stopped)
        row |= spikes(mine[schema.TRAIN_SPIKES.key], run[DECODER_EVALUATIONS.key] / run[K] / run[B])
        row |= {DIVERGED: stopped or (done and ended_worse(mine[LOSS], mine[NLL])), ENDED: stopped or done}
        rows.append(row)
    return pd.DataFrame(rows)


def ended_worse(losses: ArrayLike, nll: ArrayLike) -> bool:
    """Whether a finished run diverged: its last training loss is above that of its first epoch, or its last training
    loss or test NLL is not finite. A metric that no epoch recorded is ignored.
    """
    train, test = np.asarray(losses, dtype=float), np.asarray(nll, dtype=float)
    rose = not np.isnan(train).all() and not train[-1] <= min(train[0], np.finfo(float).max)
    return rose or (not np.isnan(test).all() and not np.isfinite(test[-1]))


def path(nll: ArrayLike, diverged: bool) -> dict[str, float]:
    """WORST_STEP, STEP_TO_STEP, SHARE_WORSE and DRAWDOWN of the test NLL y_1 .. y_T, nats/image.

        max_t d_t,   mean_t |d_t|,   mean_t [d_t > 0]   with d_t = y_t - y_{t-1};   max_t (y_t - min_{s <= t} y_s)

    WORST_STEP is negative where every epoch improved. Where the run diverged one more step to infinity is appended.
    nan where there is no step, or nothing was recorded.
    """
    values = np.asarray(nll, dtype=float)
    known = np.flatnonzero(~np.isnan(values))  # before the first one nothing is scored, as in a trunk
    values = np.where(np.isnan(values), np.inf, values)[known[0] if known.size else len(values) :]
    with np.errstate(invalid="ignore"):
        steps = np.append(np.diff(values), [np.inf] * diverged)
        above = np.append(values - np.minimum.accumulate(values), [np.inf] * diverged)
    moves, rises = pd.Series(steps).dropna(), pd.Series(above).dropna()  # inf - inf is undefined
    found = moves.max(), moves.abs().mean(), (moves > 0).mean(), rises.max()
    return dict(zip((quantity.key for quantity in OF_RUN), found, strict=False))


def spikes(counts: pd.Series, steps: float) -> dict[str, float]:
    """SPIKES of a run and SPIKE_RATE per 1,000 judged steps; nan where no step was judged.

    counts: of each epoch, nan where no step of it was judged. steps: images of an epoch divided by B, nan where not
    recorded; a last, smaller batch counts as a step.
    """
    total = counts.sum(min_count=1)
    judged = 0 if math.isnan(steps) else counts.count() * moments.judged_steps(math.ceil(steps))
    return {SPIKES.key: total, SPIKE_RATE.key: 1000 * total / judged if judged else math.nan}


def spread(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """KEY_n, KEY_median, KEY_lowest, KEY_highest of a column by cell, infinite values included, missing ones not."""
    values = table.reindex(columns=[*CELL_OF, value]).dropna(subset=[value])
    found = values.groupby(CELL_OF)[value].agg(n="count", median="median", lowest="min", highest="max")
    return found.add_prefix(f"{value}_").reset_index()


def divergence(ended: pd.DataFrame) -> pd.DataFrame:
    """By cell ended_n, the runs that finished or diverged; diverged_n of them, stopped for divergence or not; the rate
    diverged_rate with its exact interval diverged_ci_low, diverged_ci_high.
    """
    found = ended.groupby(CELL_OF)[DIVERGED].agg(ended_n="size", diverged_n="sum").reset_index()
    rate = found["diverged_n"] / found["ended_n"]
    ends = [intervals.clopper_pearson(*pair) for pair in zip(found["diverged_n"], found["ended_n"], strict=True)]
    low, high = np.reshape(ends, (-1, 2)).T
    return found.assign(diverged_rate=rate, diverged_ci_low=low, diverged_ci_high=high)


def seed_sd(usable: pd.DataFrame) -> pd.DataFrame:
    """KEY_n, KEY_sd, KEY_sd_ci_low, KEY_sd_ci_high of the final test NLL over finished seeds, nats/image, for normal
    values; none below two seeds.

        sd sqrt((n-1) / q),   q the 97.5 % and 2.5 % quantiles of chi-square with n - 1 degrees of freedom
    """
    found = intervals.t_intervals(usable, CELL_OF, FINAL)[[*CELL_OF, "n", "sd"]]
    degrees = np.where(found["n"] > 1, found["n"] - 1, np.nan)
    for end, tail in (("ci_low", (1 + CONFIDENCE) / 2), ("ci_high", (1 - CONFIDENCE) / 2)):
        found[f"sd_{end}"] = found["sd"] * np.sqrt(degrees / stats.chi2.ppf(tail, degrees))
    return found.set_index(CELL_OF).add_prefix(f"{FINAL}_").reset_index()


def root_mean(usable: pd.DataFrame, sd: Quantity, variance: Quantity) -> pd.DataFrame:
    """The root of the mean variance over the seeds of each cell."""
    found = intervals.t_intervals(usable, CELL_OF, variance.key)
    return found[CELL_OF].assign(**{sd.key: np.sqrt(found["mean"])})
