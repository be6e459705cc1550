"""Means, rates and standard deviations over the runs of a cell with their 95 % intervals.

Each seed is one training run. Values that are not finite are left out of a mean, and n says how many remain.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def t_intervals(table: pd.DataFrame, by: list[str], value: str, log: bool = False) -> pd.DataFrame:
    """Mean over the rows of each group with its two-sided t-interval.

        mean +- t_{n-1, 0.975} sd / sqrt(n),   sd with ddof = 1

    Args:
        table: one row per seed and group of the columns by.
        value: the column that is averaged; without it there are no rows.
        log: take the geometric mean, of positive values only. sd stays that of the values themselves.
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


def t_quantile(n: pd.Series | int) -> np.ndarray:
    """Student's t at (1 + CONFIDENCE) / 2 with n - 1 degrees of freedom; nan where n < 2."""
    return stats.t.ppf((1 + CONFIDENCE) / 2, np.where(n > 1, n - 1, np.nan))


def clopper_pearson(count: int, n: int) -> tuple[float, float]:
    """The exact interval of a rate, count of n, by Clopper and Pearson: never too short; nan for n = 0."""
    if n == 0:
        return math.nan, math.nan
    low, high = stats.binomtest(int(count), int(n)).proportion_ci(CONFIDENCE, method="exact")
    return float(low), float(high)
