"""Numbers from the tidy tables: means over seeds with their t-intervals, differences between paired seeds.

Every interval is a two-sided 95 % t-interval over seeds (each seed is one training run) and stays empty at n < 2.
Values that are not finite are left out of a mean, and n says how many remain.
"""

import numpy as np
import pandas as pd
from scipy import stats

from analysis.completeness import count
from analysis.tidy import CELL, COUNTED, SETTING
from src import schema
from src.schema import Quantity

CONFIDENCE = 0.95
INTERVAL = ["n", "mean", "sd", "ci_low", "ci_high"]
# A run's cost is the median of its epochs: one that something else on the machine slowed down does not weigh.
EPOCH_SECONDS = schema.TRAIN_SECONDS._replace(key="train/seconds_median")
DECODER_EVALUATIONS = Quantity("train/decoder_evaluations", "N K", "1/epoch", "decoder evaluations")
SUMMARISED = (
    schema.FINAL_TEST_NLL,
    schema.FINAL_TEST_NLL_QUADRATURE,
    schema.FINAL_TEST_NEG_ELBO,
    schema.FINAL_TEST_KL,
    schema.FINAL_ACTIVE_UNITS,
    schema.TRAIN_LOSS,
    schema.TRAIN_LOSS_VARIANCE,
    EPOCH_SECONDS,
    schema.RUN_SECONDS,
    schema.RUN_PEAK_RSS_BYTES,
)


def intervals(table: pd.DataFrame, by: list[str], value: str, log: bool = False) -> pd.DataFrame:
    """Mean over the rows of each group with its t-interval.

        mean +- t_{n-1, 0.975} sd / sqrt(n),   sd with ddof = 1

    Args:
        table: one row per seed and group.
        by: columns of the groups.
        value: the column averaged, in the unit of the result; without it there are no rows.
        log: average the logarithm and transform back: the geometric mean, for positive values only. sd stays the
            standard deviation of the values themselves.
    Returns:
        One row per group: by, n, mean, sd, ci_low, ci_high. sd and interval are empty where n < 2.
    """
    table = table.reindex(columns=[*by, value])
    values = table[value].astype(float)
    usable = np.isfinite(values) & ((values > 0) | (not log))
    values = values[usable]
    groups = [table.loc[usable, key] for key in by]
    averaged = values.transform(np.log) if log else values
    result = averaged.groupby(groups).agg(n="count", mean="mean", sd="std")
    half_width = t_quantile(result["n"]) * result["sd"] / np.sqrt(result["n"])
    result["ci_low"], result["ci_high"] = result["mean"] - half_width, result["mean"] + half_width
    if log:
        result[["mean", "ci_low", "ci_high"]] = np.exp(result[["mean", "ci_low", "ci_high"]])
    return result.assign(sd=values.groupby(groups).std(ddof=1)).reset_index()


def t_quantile(n: pd.Series) -> np.ndarray:
    """Student's t at (1 + CONFIDENCE) / 2 with n - 1 degrees of freedom; empty where n < 2."""
    degrees = np.where(n > 1, n - 1, np.nan)
    return stats.t.ppf((1 + CONFIDENCE) / 2, degrees)


def finished(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that numbers are made from: counted and finished."""
    return runs[runs[COUNTED] & (runs["status"] == schema.FINISHED)]


def cost(history: pd.DataFrame) -> pd.DataFrame:
    """Per run: median seconds per epoch, and decoder evaluations per epoch (images of an epoch times K)."""
    columns = history.reindex(columns=["run_id", *CELL, schema.TRAIN_SECONDS.key, schema.TRAIN_IMAGES_PER_SECOND.key])
    images = columns[schema.TRAIN_SECONDS.key] * columns[schema.TRAIN_IMAGES_PER_SECOND.key]
    columns[DECODER_EVALUATIONS.key] = images.round() * columns[schema.MC_SAMPLES.key]
    columns = columns.rename(columns={schema.TRAIN_SECONDS.key: EPOCH_SECONDS.key})
    return columns.groupby("run_id")[[EPOCH_SECONDS.key, DECODER_EVALUATIONS.key]].median().reset_index()


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: the counts, decoder evaluations per epoch, and of each quantity its INTERVAL columns.

    Args:
        runs: marked runs with the columns of cost().
    Returns:
        setting, mc_samples, batch_size, n_seeds, n_STATUS, n_missing, n_set_aside,
        train/decoder_evaluations, and KEY_n, KEY_mean, KEY_sd, KEY_ci_low, KEY_ci_high for each of SUMMARISED.
    """
    cell = [SETTING, *CELL]
    usable = finished(runs)
    table = count(runs)
    table = table.merge(usable.groupby(cell)[DECODER_EVALUATIONS.key].median().reset_index(), "left", cell)
    for quantity in SUMMARISED:
        columns = intervals(usable, cell, quantity.key)
        table = table.merge(columns.rename(columns={name: f"{quantity.key}_{name}" for name in INTERVAL}), "left", cell)
        table[f"{quantity.key}_n"] = table[f"{quantity.key}_n"].fillna(0).astype("int64")
    return table


def curves(history: pd.DataFrame, quantity: Quantity, log: bool = False) -> pd.DataFrame:
    """A quantity by epoch: one row per (B, K, epoch) with INTERVAL columns over seeds."""
    return intervals(history, [*CELL, schema.EPOCH.key], quantity.key, log)


def paired(table: pd.DataFrame, by: list[str], quantity: Quantity, ratio: bool = False) -> pd.DataFrame:
    """A quantity at K against the smallest K of the same group, over the seeds that have both.

        d_s = y_s(K) - y_s(K_min);   with ratio   log d_s = log y_s(K) - log y_s(K_min), transformed back

    Args:
        table: finished runs, or their history.
        by: the columns that paired values share besides the seed: setting and B, and the epoch in a history.
        quantity: what is compared, in the unit of the difference; a ratio has none.
        ratio: compare by ratio instead of difference; for positive quantities.
    Returns:
        One row per group and K > K_min with at least two pairs: by, mc_samples, reference (K_min), INTERVAL columns, n
        being the number of pairs, and rho, the correlation over seeds (empty at two pairs, where it is 1 or -1).
    """
    k, seed = schema.MC_SAMPLES.key, [*by, schema.SEED.key]
    values = table.reindex(columns=[*seed, k, quantity.key]).rename(columns={quantity.key: "y"})
    values = values[np.isfinite(values["y"].astype(float))]
    smallest = values.groupby(by)[k].transform("min").rename("reference")
    is_smallest = values[k] == smallest
    pairs = values.join(smallest)[~is_smallest].merge(
        values.loc[is_smallest, [*seed, "y"]], on=seed, suffixes=("", "_0")
    )
    pairs["d"] = pairs["y"] / pairs["y_0"] if ratio else pairs["y"] - pairs["y_0"]
    cell = [*by, k, "reference"]
    result = intervals(pairs, cell, "d", log=ratio)
    rho = {key: group["y"].corr(group["y_0"], min_periods=3) for key, group in pairs.groupby(cell)}
    result["rho"] = [rho[key] for key in result[cell].itertuples(index=False, name=None)]
    return result[result["n"] > 1].reset_index(drop=True)


def gains(runs: pd.DataFrame) -> pd.DataFrame:
    """What each K buys against the smallest K of the same setting and B: of the final test NLL the paired() difference,
    of the last epoch's loss variance and of the seconds per epoch the paired ratios, as KEY_ratio, KEY_ratio_ci_low
    and KEY_ratio_ci_high.
    """
    usable, by = finished(runs), [SETTING, schema.BATCH_SIZE.key]
    table = paired(usable, by, schema.FINAL_TEST_NLL)
    cell = [*by, schema.MC_SAMPLES.key, "reference"]
    for quantity in (schema.TRAIN_LOSS_VARIANCE, EPOCH_SECONDS):
        names = {"mean": f"{quantity.key}_ratio"}
        names |= {end: f"{quantity.key}_ratio_{end}" for end in ("ci_low", "ci_high")}
        ratios = paired(usable, by, quantity, ratio=True).rename(columns=names)
        table = table.merge(ratios[[*cell, *names.values()]], "left", cell)
    return table
