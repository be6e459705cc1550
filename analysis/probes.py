"""The probe's variance components over seeds, and what follows from them for K and B.

Components are averaged over seeds as they are, negative ones included, and ratios are taken of the averages: a mean of
ratios is biased, and undefined as soon as one seed's variance between images is estimated below zero. Values that are
not finite stay in the averages and show. All of it is about the weights that a cell's own runs had at an epoch.
"""

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import EPOCH_SECONDS, finished, t_quantile
from analysis.tidy import CELL, SETTING
from src import schema
from src.schema import Quantity
from src.variance import OptimalSamples, VarianceComponents, components

B, K, EPOCH, PART = schema.BATCH_SIZE.key, schema.MC_SAMPLES.key, schema.EPOCH.key, "part"
# One observation of the probe is one draw where the draws of an image are independent and the bound is a mean over
# them; else it is a whole set of K draws.
INDEPENDENT, SET_SIZE = "independent", "set_size"
POINT = [SETTING, *CELL, EPOCH, PART, INDEPENDENT, SET_SIZE]
COMPONENTS = ("var_data", "var_mc", "square_mean")
STEP_MC = Quantity("step_mc", "V_mc/K", "nats^2", "Monte Carlo variance of an image's K draws")
SHARE = Quantity("mc_share", "", "", "share of Monte Carlo noise in a step's variance")
SHARE_SINGLE = Quantity("mc_share_single", "", "", "share of Monte Carlo noise in the variance of a step with K = 1")
CEILING = Quantity("ceiling", "1 + V_mc/V_data", "", "most that draws without number can make a step quieter")
BEST_K = Quantity("best_mc_samples", "K*", "draws/image", "K of least variance times time")
BEST_INTEGER = "best_mc_samples_integer"
RATIOS = [STEP_MC.key, SHARE.key, SHARE_SINGLE.key, CEILING.key, "snr", "noise_scale", "b_eq", BEST_K.key, BEST_INTEGER]


def observations(history: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per finished run, probed epoch and part.

    Returns:
        run_id, POINT, seed, schema.PROBE_QUANTITIES, step_mc (nats^2) and mc_share.
    """
    usable = finished(runs)
    usable = usable.assign(**{INDEPENDENT: independent(usable)})
    wide = history.merge(usable[["run_id", SETTING, INDEPENDENT]], on="run_id")
    wide[SET_SIZE] = wide[K].where(~wide[INDEPENDENT], 1)
    keys = {
        part: {schema.probe_key(part, name): name for name in schema.PROBE_QUANTITIES} for part in schema.PROBE_PARTS
    }
    wide = wide.reindex(columns=wide.columns.union([key for names in keys.values() for key in names], sort=False))
    identity = [name for name in [*POINT, schema.SEED.key] if name != PART]
    when = wide.reindex(columns=[schema.PROBE_SECONDS.key])[schema.PROBE_SECONDS.key].notna()
    tables = [
        wide.loc[when | wide[list(names)].notna().any(axis=1), ["run_id", *identity, *names]]
        .rename(columns=names)
        .assign(**{PART: part})
        for part, names in keys.items()
    ]
    table = pd.concat(tables).sort_values([*POINT, schema.SEED.key], ignore_index=True)
    table[STEP_MC.key] = table["var_mc"] * table[SET_SIZE] / table[K]
    table[SHARE.key] = [share(*values) for values in zip(table[STEP_MC.key], table["var_data"], strict=True)]
    return table


def independent(runs: pd.DataFrame) -> pd.Series:
    """Whether the draws of an image are independent and the bound is a mean over them; so by default."""
    names = runs.reindex(columns=["noise", "objective"])
    return (names.isna() | (names == ["iid", "elbo"])).all(axis=1)


def summary(observed: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per POINT.

    Args:
        observed: observations().
        runs: the runs behind them with the columns of statistics.cost().
    Returns:
        POINT, n (seeds); of each of COMPONENTS NAME_mean, NAME_sd, NAME_ci_low, NAME_ci_high (t-interval over seeds;
        nats^2) and of the variances NAME_sem, the mean standard error of one probe over images and draws, which
        further seeds do not lessen as they share the images; and ratios() of the means.
    """
    groups = observed.groupby(POINT)
    table = groups.size().rename("n").to_frame()
    half = t_quantile(table["n"]) / np.sqrt(table["n"])
    with np.errstate(invalid="ignore"):
        for name in COMPONENTS:
            # pandas' own mean would pass over what is not a number.
            mean = groups[name].agg(lambda values: np.mean(values.to_numpy(dtype=float)))
            sd = groups[name].std(ddof=1)
            columns = {"mean": mean, "sd": sd, "ci_low": mean - half * sd, "ci_high": mean + half * sd}
            if f"{name}_sem" in schema.PROBE_QUANTITIES:
                columns["sem"] = groups[f"{name}_sem"].mean()
            table = table.assign(**{f"{name}_{end}": column for end, column in columns.items()})
    table = table.reset_index().merge(costs(runs), "left", [SETTING, B])
    derived = [ratios(point) for point in table.to_dict("records")]
    return table.join(pd.DataFrame(derived, columns=RATIOS, index=table.index))


def ratios(point: dict[Hashable, Any]) -> dict[str, float]:
    """What the components of a point imply, RATIOS; nan where an estimate below zero or a set leaves it undefined.

    step_mc = var_mc set_size / K and mc_share = step_mc / (var_data + step_mc) are of the run's own K; snr,
    noise_scale and b_eq too. ceiling is against one observation. mc_share_single and K* are of single draws: none
    where an observation is a set. K* takes its costs from costs().
    """
    single = bool(point[INDEPENDENT])
    size, k, batch = int(point[SET_SIZE]), int(point[K]), int(point[B])
    var_data, var_mc, square = (float(point[f"{name}_mean"]) for name in COMPONENTS)
    # How many data and draws there were is in no ratio.
    parts = VarianceComponents(var_data, var_mc, square, 0, 0, size)
    best = OptimalSamples(math.nan, None)
    if single and point["seconds_fixed"] >= 0 and point["seconds_per_draw"] > 0:
        best = components.optimal_mc_samples(parts, point["seconds_fixed"], point["seconds_per_draw"])
    step_mc = var_mc * size / k
    values = (
        step_mc,
        share(step_mc, var_data),
        share(var_mc, var_data) if single else math.nan,
        components.ceiling(parts),
        components.snr(parts, batch, k),
        components.noise_scale(parts, k),
        components.equivalent_batch_size(parts, batch, k),
        best.continuous,
        math.nan if best.integer is None else best.integer,
    )
    return dict(zip(RATIOS, values, strict=True))


def share(var_mc: float, var_data: float) -> float:
    """var_mc / (var_data + var_mc); nan where a variance is estimated below zero, or both are zero."""
    known = var_data >= 0 and var_mc >= 0 and var_data + var_mc > 0
    return var_mc / (var_data + var_mc) if known else math.nan


def costs(runs: pd.DataFrame) -> pd.DataFrame:
    """Training time as a line in K, by least squares over the finished runs of a setting and B with three K or more.

        seconds per epoch = seconds_fixed + seconds_per_draw K

    Returns:
        setting, batch_size, seconds_fixed (s), seconds_per_draw (s); no row for fewer than three K.
    """
    rows = []
    usable = finished(runs).dropna(subset=[EPOCH_SECONDS.key])
    for (setting, batch_size), group in usable.groupby([SETTING, B]):
        if group[K].nunique() >= 3:
            slope, fixed = np.polyfit(group[K].to_numpy(dtype=float), group[EPOCH_SECONDS.key].to_numpy(dtype=float), 1)
            rows.append((setting, batch_size, float(fixed), float(slope)))
    return pd.DataFrame(rows, columns=[SETTING, B, "seconds_fixed", "seconds_per_draw"]).astype(
        {SETTING: "int64", B: "int64"}
    )


def last(table: pd.DataFrame) -> pd.DataFrame:
    """The points of the last probed epoch of each setting, K and B."""
    return table[table[EPOCH] == table.groupby([SETTING, *CELL])[EPOCH].transform("max")]


def step_noise(points: pd.DataFrame) -> dict[tuple[int, int], float]:
    """Monte Carlo sd of a minibatch's loss at the last probe, sqrt(V_mc / (B K)), nats/image, by (B, K)."""
    losses = last(points)[lambda table: table[PART] == "loss"]
    noise = np.sqrt(losses[STEP_MC.key] / losses[B])
    return dict(zip(zip(losses[B], losses[K], strict=True), noise, strict=True))
