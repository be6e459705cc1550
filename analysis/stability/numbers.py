"""How steadily runs train: per run from its history, then over the seeds of a cell.

The path of a run is its test NLL after each epoch; NaN counts as infinite. The path of a run that diverged ends at
infinity, so it has the highest values and is not left out. Over seeds there are medians with the lowest and highest
value, since these measures are skewed and few. Intervals of the sd over seeds are from chi-square, those of the
divergence rate are Wilson's.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stability.threshold import ENDED, default_thresholds, reached, time_to_threshold
from analysis.statistics import CELL_OF, COUNTED, SETTING, finished, intervals
from analysis.statistics.cost import DECODER_EVALUATIONS
from analysis.statistics.intervals import CONFIDENCE
from analysis.store import EPOCH, RUN, B, K
from src import schema
from src.schema import Quantity
from src.variance import moments

WORST_STEP = Quantity("stability/worst_step", "", "nats/image", "worst step between epochs")
STEP_TO_STEP = Quantity("stability/step_to_step", "", "nats/image", "mean size of a step between epochs")
SHARE_WORSE = Quantity("stability/share_worse", "", "", "share of epochs that got worse")
DRAWDOWN = Quantity("stability/drawdown", "", "nats/image", "largest rise above the best so far")
SPIKES = Quantity("stability/spikes", "", "steps", "spikes of the minibatch loss")
SPIKE_RATE = Quantity("stability/spike_rate", "", "1/1000 judged steps", "spikes of the minibatch loss")
OF_RUN = (WORST_STEP, STEP_TO_STEP, SHARE_WORSE, DRAWDOWN, SPIKES, SPIKE_RATE)

DIVERGED = "diverged"
NLL, LOSS = schema.TEST_NLL.key, schema.TRAIN_LOSS.key
LOSS_SD = Quantity("train/loss_sd_detrended", "", "nats/image", "sd of minibatch losses around their trend")


def stability_by_cell(runs: pd.DataFrame, history: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """One row per cell.

    Args:
        runs: marked runs.
        history: their histories.
        threshold: test NLL to reach, nats/image; None takes default_thresholds.
    Returns:
        setting, mc_samples, batch_size; of OF_RUN and the active units KEY_n, KEY_median, KEY_lowest, KEY_highest;
        ended_n, diverged_n, diverged_rate, diverged_ci_low, diverged_ci_high; of the final test NLL KEY_n, KEY_sd,
        KEY_sd_ci_low, KEY_sd_ci_high; train/loss_sd_detrended (last epoch, root of the mean variance); threshold/...
        as in time_to_threshold.
    """
    thresholds = default_thresholds(runs) if threshold is None else dict.fromkeys(runs[SETTING], threshold)
    measured = per_run(runs, history, thresholds)
    ended, usable = measured[measured[ENDED]], finished(runs)
    variance = intervals.t_intervals(usable, CELL_OF, schema.TRAIN_LOSS_VARIANCE_DETRENDED.key)
    tables = [
        *(spread(ended, quantity.key) for quantity in OF_RUN),
        spread(usable, schema.FINAL_ACTIVE_UNITS.key),
        divergence(ended),
        seed_sd(usable),
        variance[CELL_OF].assign(**{LOSS_SD.key: np.sqrt(variance["mean"])}),
        time_to_threshold(measured),
    ]
    result = measured[CELL_OF].drop_duplicates().sort_values(CELL_OF, ignore_index=True)
    for table in tables:
        result = result.merge(table, "left", CELL_OF)
    return result


def per_run(runs: pd.DataFrame, history: pd.DataFrame, thresholds: dict[int, float]) -> pd.DataFrame:
    """One row per counted run: OF_RUN, ended (finished or diverged), diverged, and reached() for its setting."""
    columns = ["run_id", EPOCH, NLL, LOSS, schema.TRAIN_SPIKES.key, schema.TRAIN_SECONDS.key]
    epochs = history.reindex(columns=columns)
    epochs = epochs[epochs[EPOCH] >= 1].sort_values(EPOCH)
    of_run = dict(list(epochs.groupby("run_id")))
    identity = ["run_id", SETTING, *RUN]
    rows = []
    for run in runs.loc[runs[COUNTED], [*identity, "status", DECODER_EVALUATIONS.key]].to_dict("records"):
        mine, evaluations = of_run.get(run["run_id"], epochs.head(0)), run[DECODER_EVALUATIONS.key]
        stopped, done = run["status"] == schema.DIVERGED, run["status"] == schema.FINISHED
        row = {key: run[key] for key in identity} | path(mine[NLL], stopped)
        row |= spikes(mine[schema.TRAIN_SPIKES.key], evaluations / run[K] / run[B])
        row |= {DIVERGED: stopped or (done and ended_worse(mine[LOSS], mine[NLL])), ENDED: stopped or done}
        rows.append(row | reached(mine, evaluations, stopped, thresholds.get(run[SETTING], math.nan)))
    return pd.DataFrame(rows)


def ended_worse(losses: ArrayLike, nll: ArrayLike) -> bool:
    """Whether a run diverged although it finished: the last epoch's training loss is above the first one's, or it or
    the last test NLL is not finite. A metric that no epoch recorded is no evidence.
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
    values = values[:0] if np.isnan(values).all() else np.where(np.isnan(values), np.inf, values)
    with np.errstate(invalid="ignore"):
        steps = np.append(np.diff(values), [np.inf] * diverged)
        above = np.append(values - np.minimum.accumulate(values), [np.inf] * diverged)
    steps, above = steps[~np.isnan(steps)], above[~np.isnan(above)]  # inf - inf is undefined
    moved = steps if steps.size else np.array([np.nan])
    return {
        WORST_STEP.key: float(moved.max()),
        STEP_TO_STEP.key: float(np.abs(moved).mean()),
        SHARE_WORSE.key: float(np.mean(steps > 0)) if steps.size else math.nan,
        DRAWDOWN.key: float(above.max()) if above.size else math.nan,
    }


def spikes(counts: pd.Series, steps: float) -> dict[str, float]:
    """SPIKES over a run's judged epochs, and SPIKE_RATE per 1,000 of their judged steps.

    Args:
        counts: spikes of each epoch, [T]; nan where it was not judged.
        steps: images of an epoch divided by B; a last, smaller batch counts as a step. nan where not recorded.
    Returns:
        nan where no epoch was judged.
    """
    judged = counts.dropna()
    total = float(judged.sum()) if len(judged) else math.nan
    denominator = 0 if math.isnan(steps) else len(judged) * moments.judged_steps(math.ceil(steps))
    return {SPIKES.key: total, SPIKE_RATE.key: 1000 * total / denominator if denominator else math.nan}


def spread(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """KEY_n, KEY_median, KEY_lowest, KEY_highest of a column by cell, infinite values included, missing ones not."""
    values = table.reindex(columns=[*CELL_OF, value]).dropna(subset=[value])
    found = values.groupby(CELL_OF)[value].agg(n="count", median="median", lowest="min", highest="max")
    return found.add_prefix(f"{value}_").reset_index()


def divergence(ended: pd.DataFrame) -> pd.DataFrame:
    """Of the runs that finished or diverged, those that diverged, with or without being stopped for it.

    Returns:
        ended_n, diverged_n, diverged_rate, and its Wilson interval diverged_ci_low, diverged_ci_high.
    """
    found = ended.groupby(CELL_OF)[DIVERGED].agg(ended_n="size", diverged_n="sum").reset_index()
    counts = zip(found["diverged_n"], found["ended_n"], strict=True)
    low, high = np.array([intervals.wilson(*pair) for pair in counts]).reshape(-1, 2).T
    rate = found["diverged_n"] / found["ended_n"]
    return found.assign(diverged_rate=rate, diverged_ci_low=low, diverged_ci_high=high)


def seed_sd(usable: pd.DataFrame) -> pd.DataFrame:
    """The sd of the final test NLL over finished seeds with its 95 % interval, for normal values; none below two seeds.

        sd sqrt((n-1) / q),   q the 97.5 % and 2.5 % quantiles of chi-square with n - 1 degrees of freedom

    Returns:
        The cell, KEY_n, and in nats/image KEY_sd, KEY_sd_ci_low, KEY_sd_ci_high.
    """
    key = schema.FINAL_TEST_NLL.key
    found = intervals.t_intervals(usable, CELL_OF, key)[[*CELL_OF, "n", "sd"]]
    degrees = np.where(found["n"] > 1, found["n"] - 1, np.nan)
    for end, tail in (("ci_low", (1 + CONFIDENCE) / 2), ("ci_high", (1 - CONFIDENCE) / 2)):
        found[f"{key}_sd_{end}"] = found["sd"] * np.sqrt(degrees / stats.chi2.ppf(tail, degrees))
    return found.rename(columns={"n": f"{key}_n", "sd": f"{key}_sd"})
