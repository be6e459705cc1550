"""How steadily runs train and how soon they reach a test NLL: per run from its history, then over the seeds of a cell.

The path of a run is its test NLL after each epoch; NaN counts as infinite, and that of a run that diverged ends at
infinity. Over seeds there are medians with the lowest and highest value, as these measures are skewed and few. A run
that ended short of the threshold is right-censored: an average over the runs that arrived would be too low.
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
# The path of the test NLL is noisy, and its first value below a threshold comes early; so many in a row come when its
# mean is there.
IN_A_ROW = 3

THRESHOLD = Quantity("threshold/test_nll", "nats/image", "threshold of the test NLL")
TO_EPOCHS = Quantity("threshold/epochs", "", "epochs")
TO_SECONDS = Quantity("threshold/seconds", "s", "training time")
TO_EVALUATIONS = Quantity("threshold/decoder_evaluations", "", "decoder evaluations")
AXES = (TO_EPOCHS, TO_SECONDS, TO_EVALUATIONS)
REACHED, AT_RISK, CUT_SHORT = "threshold/reached", "threshold/n", "threshold/cut_short"

ENDED, DIVERGED = "ended", "diverged"
NLL, LOSS, SECONDS = schema.TEST_NLL.key, schema.TRAIN_LOSS.key, schema.TRAIN_SECONDS.key
FINAL = schema.FINAL_TEST_NLL.key


def stability_by_cell(runs: pd.DataFrame, history: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """One row per cell of marked runs; threshold: test NLL to reach, nats/image, None for default_thresholds().

    Returns:
        CELL_OF; of OF_RUN and the active units KEY_n, KEY_median, KEY_lowest, KEY_highest; and the columns of
        divergence(), seed_sd(), SDS (last epoch, roots of the mean variances), time_to_threshold().
    """
    thresholds = default_thresholds(runs, history) if threshold is None else dict.fromkeys(runs[SETTING], threshold)
    measured, usable = per_run(runs, history, thresholds), finished(runs)
    ended = measured[measured[ENDED]]
    result = measured[CELL_OF].drop_duplicates().sort_values(CELL_OF, ignore_index=True)
    for table in (
        *(spread(ended, quantity.key) for quantity in OF_RUN),
        spread(usable, schema.FINAL_ACTIVE_UNITS.key),
        divergence(ended),
        seed_sd(usable),
        *(root_mean(usable, *pair) for pair in SDS.items()),
        time_to_threshold(measured),
    ):
        result = result.merge(table, "left", CELL_OF)
    return result


def per_run(runs: pd.DataFrame, history: pd.DataFrame, thresholds: dict[int, float]) -> pd.DataFrame:
    """One row per counted run: OF_RUN, ended (finished or diverged), diverged, and reached() for its setting."""
    epochs = history.reindex(columns=["run_id", EPOCH, NLL, LOSS, schema.TRAIN_SPIKES.key, SECONDS])
    epochs = epochs[epochs[EPOCH] >= 1].sort_values(EPOCH)
    of_run = dict(list(epochs.groupby("run_id")))
    rows = []
    for run in runs[runs[COUNTED]].to_dict("records"):
        mine, evaluations = of_run.get(run["run_id"], epochs.head(0)), run[DECODER_EVALUATIONS.key]
        stopped, done = run["status"] == schema.DIVERGED, run["status"] == schema.FINISHED
        row = {key: run[key] for key in ("run_id", SETTING, *RUN)} | path(mine[NLL], stopped)
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
    known = np.flatnonzero(~np.isnan(values))  # before the first one nothing is scored, as in a trunk
    values = np.where(np.isnan(values), np.inf, values)[known[0] if known.size else len(values) :]
    with np.errstate(invalid="ignore"):
        steps = np.append(np.diff(values), [np.inf] * diverged)
        above = np.append(values - np.minimum.accumulate(values), [np.inf] * diverged)
    moves, rises = pd.Series(steps).dropna(), pd.Series(above).dropna()  # inf - inf is undefined
    found = moves.max(), moves.abs().mean(), (moves > 0).mean(), rises.max()
    return dict(zip((quantity.key for quantity in OF_RUN), found, strict=False))


def spikes(counts: pd.Series, steps: float) -> dict[str, float]:
    """SPIKES of a run, from those of each epoch, nan where not judged, and SPIKE_RATE per 1,000 judged steps: nan
    where none was. steps: images of an epoch divided by B, nan where not recorded; a smaller batch is a step too.
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
    """Of the runs that finished or diverged (ended_n), those that diverged, with or without being stopped for it:
    diverged_n, diverged_rate, and its exact interval diverged_ci_low, diverged_ci_high.
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


def default_thresholds(runs: pd.DataFrame, history: pd.DataFrame) -> dict[int, float]:
    """Per setting the worst cell's median over finished seeds, rounded up to 0.01, of the highest test NLL of a run's
    last IN_A_ROW epochs.

    At least half of every cell's finished runs reach it, so every cell has a median time unless runs of it diverge.
    It is chosen after seeing the runs. In nats/image; no entry for a setting without a finite median.
    """
    epochs = history[history[EPOCH] >= 1].reindex(columns=["run_id", EPOCH, NLL]).sort_values(EPOCH)
    last = epochs.groupby("run_id")[NLL].agg(
        lambda nll: np.max(nll.to_numpy(dtype=float)[-IN_A_ROW:]) if len(nll) >= IN_A_ROW else math.nan
    )
    medians = finished(runs).merge(last.rename("highest"), on="run_id").groupby(CELL_OF)["highest"].median()
    worst = medians[np.isfinite(medians)].groupby(SETTING).max()
    # To 0.01, as it is printed; the small term keeps a value that is already so in binary rounding.
    return {int(setting): math.ceil(value * 100 - 1e-9) / 100 for setting, value in worst.items()}


def reached(epochs: pd.DataFrame, evaluations: float, diverged: bool, threshold: float) -> dict[str, float]:
    """AXES up to the first of IN_A_ROW epochs whose test NLL is at most the threshold, and whether there was (REACHED).

    Where there were none, the run's whole length, at which it is censored; infinite where it diverged, as it will never
    arrive. evaluations are those of the decoder in an epoch, N K; threshold is in nats/image, nan for none.
    """
    below = (epochs[NLL].astype(float) <= threshold).rolling(IN_A_ROW).sum()
    hits = np.flatnonzero(below == IN_A_ROW) - (IN_A_ROW - 1)
    passed = epochs.iloc[: hits[0] + 1 if hits.size else len(epochs)]
    last = float(passed[EPOCH].max()) if len(passed) else 0.0
    lengths = [last, float(passed[SECONDS].sum(skipna=False)), last * evaluations]
    if diverged and not hits.size:
        lengths = [math.inf] * 3
    found = {axis.key: length for axis, length in zip(AXES, lengths, strict=True)}
    return {THRESHOLD.key: threshold, REACHED: float(hits.size > 0), **found}


def time_to_threshold(measured: pd.DataFrame) -> pd.DataFrame:
    """Per cell of per_run() threshold/test_nll, threshold/n (runs with a record, or diverged), threshold/reached,
    threshold/cut_short (failed, killed or running before, so censored where their record ends), and for each of AXES
    KEY_median (Kaplan-Meier over all n; inf: not reached by half) and KEY_first, the earliest.
    """
    known = measured[measured[THRESHOLD.key].notna() & (measured[TO_EPOCHS.key] > 0)]
    columns = [*CELL_OF, THRESHOLD.key, AT_RISK, REACHED, CUT_SHORT]
    columns += [f"{axis.key}_{end}" for axis in AXES for end in ("median", "first")]
    rows = []
    for cell, group in known.groupby(CELL_OF):
        arrived = group[REACHED] > 0
        row = [*cell, group[THRESHOLD.key].iloc[0], len(group), arrived.sum(), (~arrived & ~group[ENDED]).sum()]
        for axis in AXES:
            row += [intervals.kaplan_meier_median(group[axis.key], arrived), group.loc[arrived, axis.key].min()]
        rows.append(row)
    return pd.DataFrame(rows, columns=columns)
