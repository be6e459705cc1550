"""How steadily the runs train and how soon they get somewhere: per run from its history, then over the seeds of a cell.

The path of a run is its test NLL after each epoch; NaN counts as infinite. A run that diverged ends at infinity: it is
ranked as the worst, never left out. Over seeds there are medians with the lowest and highest value, since these
measures are skewed and few; the sd over seeds has a chi-square interval, the divergence rate a Wilson interval.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics import CONFIDENCE, DECODER_EVALUATIONS, finished, intervals
from analysis.threshold import ENDED, default_thresholds, reached, time_to_threshold
from analysis.tidy import CELL, COUNTED, RUN, SETTING
from src import schema
from src.schema import Quantity

WORST_STEP = Quantity("stability/worst_step", "", "nats/image", "worst step between epochs")
STEP_TO_STEP = Quantity("stability/step_to_step", "", "nats/image", "mean size of a step between epochs")
SHARE_WORSE = Quantity("stability/share_worse", "", "", "share of epochs that got worse")
DRAWDOWN = Quantity("stability/drawdown", "", "nats/image", "largest rise above the best so far")
SPIKES = Quantity("stability/spikes", "", "steps", "spikes of the minibatch loss")
SPIKE_RATE = Quantity("stability/spike_rate", "", "1/1000 steps", "spikes of the minibatch loss")
OF_RUN = (WORST_STEP, STEP_TO_STEP, SHARE_WORSE, DRAWDOWN, SPIKES, SPIKE_RATE)

DIVERGED = "diverged"
NLL, LOSS = schema.TEST_NLL.key, schema.TRAIN_LOSS.key
LOSS_SD = Quantity("train/loss_sd_detrended", "", "nats/image", "sd of minibatch losses around their trend")


def summary(runs: pd.DataFrame, history: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
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
    ended, cell = measured[measured[ENDED]], [SETTING, *CELL]
    variance = schema.TRAIN_LOSS_VARIANCE_DETRENDED.key
    noise = np.sqrt(intervals(finished(runs), cell, variance).set_index(cell)["mean"])
    tables = [
        *(spread(ended, cell, quantity.key) for quantity in OF_RUN),
        spread(finished(runs), cell, schema.FINAL_ACTIVE_UNITS.key),
        divergence(ended, cell),
        seed_sd(runs, cell),
        noise.rename(LOSS_SD.key).reset_index(),
        time_to_threshold(measured, cell),
    ]
    result = measured[cell].drop_duplicates().sort_values(cell, ignore_index=True)
    for table in tables:
        result = result.merge(table, "left", cell)
    return result


def per_run(runs: pd.DataFrame, history: pd.DataFrame, thresholds: dict[int, float]) -> pd.DataFrame:
    """One row per counted run: OF_RUN, ended (finished or diverged), diverged, and reached() for its setting."""
    columns = ["run_id", schema.EPOCH.key, NLL, LOSS, schema.TRAIN_SPIKES.key, schema.TRAIN_SECONDS.key]
    epochs = history.reindex(columns=columns)
    epochs = epochs[epochs[schema.EPOCH.key] >= 1].sort_values(schema.EPOCH.key)
    of_run = dict(list(epochs.groupby("run_id")))
    identity = ["run_id", SETTING, *RUN]
    rows = []
    for run in runs.loc[runs[COUNTED], [*identity, "status", DECODER_EVALUATIONS.key]].to_dict("records"):
        mine, evaluations = of_run.get(run["run_id"], epochs.head(0)), run[DECODER_EVALUATIONS.key]
        lost, done = run["status"] == schema.DIVERGED, run["status"] == schema.FINISHED
        steps = np.ceil(evaluations / run[schema.MC_SAMPLES.key] / run[schema.BATCH_SIZE.key])
        row = {key: run[key] for key in identity} | path(mine[NLL], lost) | spikes(mine, steps)
        row |= {DIVERGED: lost or (done and blown(mine[LOSS], mine[NLL])), ENDED: lost or done}
        rows.append(row | reached(mine, evaluations, lost, thresholds.get(run[SETTING], math.nan)))
    return pd.DataFrame(rows)


def blown(losses: ArrayLike, nll: ArrayLike) -> bool:
    """Whether a run that finished had diverged all the same.

    So it is where the last epoch's training loss is above the first one's, or it or the last test NLL is not finite.
    What no epoch recorded says nothing.
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
    steps, above = steps[~np.isnan(steps)], above[~np.isnan(above)]  # of inf - inf nothing can be said
    moved = steps if steps.size else np.array([np.nan])
    return {
        WORST_STEP.key: float(moved.max()),
        STEP_TO_STEP.key: float(np.abs(moved).mean()),
        SHARE_WORSE.key: float(np.mean(steps > 0)) if steps.size else math.nan,
        DRAWDOWN.key: float(above.max()) if above.size else math.nan,
    }


def spikes(epochs: pd.DataFrame, steps: float) -> dict[str, float]:
    """SPIKES over a run's judged epochs, and SPIKE_RATE per 1,000 of their steps, of which an epoch has `steps`; nan
    where none was judged.
    """
    counts = epochs[schema.TRAIN_SPIKES.key].dropna()
    total = float(counts.sum()) if len(counts) else math.nan
    return {SPIKES.key: total, SPIKE_RATE.key: 1000 * total / (len(counts) * steps) if len(counts) else math.nan}


def spread(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """KEY_n, KEY_median, KEY_lowest, KEY_highest of a column by group, infinite values included, missing ones not."""
    values = table.reindex(columns=[*by, value]).dropna(subset=[value])
    found = values.groupby(by)[value].agg(n="count", median="median", lowest="min", highest="max")
    return found.add_prefix(f"{value}_").reset_index()


def wilson(count: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of a rate, count of n; nan for n = 0.

        (p + z^2/2n -+ z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n)

    Source: Wilson (1927), Journal of the American Statistical Association 22, 209.
    """
    z = stats.norm.ppf((1 + CONFIDENCE) / 2)
    size = np.where(np.asarray(n) > 0, n, np.nan).astype(float)
    p = np.asarray(count) / size
    half = z * np.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
    centre, scale = p + z**2 / (2 * size), 1 + z**2 / size
    low, high = (centre - half) / scale, (centre + half) / scale
    return np.where(p == 0, 0.0, low), np.where(p == 1, 1.0, high)


def divergence(ended: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Of the runs that came to an end of their own, those that diverged or were blown().

    Returns:
        ended_n, diverged_n, diverged_rate, and its Wilson interval diverged_ci_low, diverged_ci_high.
    """
    found = ended.groupby(list(by))[DIVERGED].agg(ended_n="size", diverged_n="sum").reset_index()
    low, high = wilson(found["diverged_n"], found["ended_n"])
    return found.assign(
        diverged_rate=found["diverged_n"] / found["ended_n"], diverged_ci_low=low, diverged_ci_high=high
    )


def seed_sd(runs: pd.DataFrame, by: Iterable[str]) -> pd.DataFrame:
    """The sd of the final test NLL over finished seeds with its 95 % interval; none below two seeds.

    sd sqrt((n-1) / q),   q the 97.5 % and 2.5 % quantiles of chi-square with n - 1 degrees; for normal values
    """
    key = schema.FINAL_TEST_NLL.key
    found = intervals(finished(runs), list(by), key)[[*by, "n", "sd"]]
    degrees = np.where(found["n"] > 1, found["n"] - 1, np.nan)
    for end, level in (("ci_low", (1 + CONFIDENCE) / 2), ("ci_high", (1 - CONFIDENCE) / 2)):
        found[f"{key}_sd_{end}"] = found["sd"] * np.sqrt(degrees / stats.chi2.ppf(level, degrees))
    return found.rename(columns={"n": f"{key}_n", "sd": f"{key}_sd"})
