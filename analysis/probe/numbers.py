"""The probe's variance components over seeds, and what follows from them for K and B.

Components are averaged over seeds as they are, negative ones included, and ratios are taken of the averages: a mean of
ratios is biased, and undefined as soon as one seed's variance between images is estimated below zero. Values that are
not finite stay in the averages. All results are about the weights that a cell's own runs had at an epoch.
"""

import math
from itertools import product

import numpy as np
import pandas as pd

from analysis.display import Row
from analysis.statistics import CELL_OF, SETTING, finished
from analysis.statistics.completeness import cost_lines
from analysis.statistics.intervals import t_quantile
from analysis.store import EPOCH, SEED, B, K
from src import schema
from src.variance import OptimalSamples, VarianceComponents, components, errors
from src.variance.errors import LogErrors

# The part of the model or the layer, and how its weights count: each by 1 (a trace), or in the optimizer's metric.
PART, NORM = "part", "norm"
TRACE, SCALED = "trace", "optimizer"
# What one observation of the probe is, as it was recorded: the draws in it, and whether they are independent.
SET_SIZE, INDEPENDENT = "set_size", "independent"
OBSERVATION = {schema.PROBE_SET_SIZE.key: SET_SIZE, schema.PROBE_INDEPENDENT.key: INDEPENDENT}
# The columns that identify a row of components_by_point().
POINT = [*CELL_OF, EPOCH, PART, NORM, INDEPENDENT, SET_SIZE]
COMPONENTS = ("var_data", "var_mc", "square_mean")
# What ratios() finds. STEP_MC is in the unit of the variances, K* and its best integer in draws per image.
STEP_MC, SHARE, SHARE_SINGLE, CEILING = "step_mc", "mc_share", "mc_share_single", "ceiling"
BEST_K, BEST_INTEGER = "best_mc_samples", "best_mc_samples_integer"
LOG_ERRORS = ["mc_ratio_log_sem", "snr_log_sem"]
UNCERTAIN = [SHARE, SHARE_SINGLE, CEILING, "snr", "b_eq", BEST_K]
RATIOS = [STEP_MC, SHARE, SHARE_SINGLE, CEILING, "snr", "noise_scale", "b_eq", BEST_K, BEST_INTEGER]


def probed(history: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The history of the finished runs at probed epochs, with their setting and every key of the probe."""
    names = {schema.probe_key(part, name) for part in schema.PROBE_PARTS for name in schema.PROBE_QUANTITIES}
    keys = [*sorted(names), schema.PROBE_SECONDS.key, *OBSERVATION]
    rows = history.merge(finished(runs)[["run_id", SETTING]], on="run_id")
    rows = rows.reindex(columns=rows.columns.union(keys, sort=False))
    return rows[rows[keys].notna().any(axis=1)]


def observations(history: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """One row per finished run, probed epoch, part or layer, and norm. Probes without a record of what an observation
    is are left out.

    Returns:
        run_id, POINT, seed, schema.PROBE_QUANTITIES, step_mc (in the unit of the variances) and mc_share.
    """
    rows = probed(history, runs).dropna(subset=list(OBSERVATION)).rename(columns=OBSERVATION)
    rows = rows.astype({SET_SIZE: "int64", INDEPENDENT: "bool"})
    names = ["run_id", *(name for name in POINT if name not in (PART, NORM)), SEED, *schema.PROBE_QUANTITIES]
    tables = []
    for part, norm in product([*schema.PROBE_PARTS, *sorted(schema.probed_layers(rows.columns))], (TRACE, SCALED)):
        keys = {schema.probe_key(part, name, norm == SCALED): name for name in schema.PROBE_QUANTITIES}
        table = rows.rename(columns=keys).reindex(columns=names).assign(**{PART: part, NORM: norm})
        always = part in schema.PROBE_PARTS and norm == TRACE
        tables.append(table if always else table.dropna(how="all", subset=list(COMPONENTS)))
    table = pd.concat([tables[0], *filter(len, tables[1:])]).sort_values([*POINT, SEED], ignore_index=True)
    table[STEP_MC] = table["var_mc"] * table[SET_SIZE] / table[K]
    table[SHARE] = [components.mc_share(*pair) for pair in zip(table[STEP_MC], table["var_data"], strict=True)]
    return table


def components_by_point(observed: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The components over the seeds of each cell, probed epoch and part, and what follows from them, of observations()
    and the marked runs behind them.

    Returns:
        POINT, n (seeds), mc_ratio_log_sem and snr_log_sem of seed_errors(); of each of COMPONENTS NAME_mean, NAME_sd,
        NAME_ci_low, NAME_ci_high (t-interval over seeds; the unit of the part) and of the variances NAME_sem, the mean
        standard error of one probe over images and draws, which further seeds do not reduce as they share the images;
        and ratios() of the means with their uncertainty().
    """
    groups = observed.groupby(POINT)
    logs = [(len(group), *seed_errors(group)) for _, group in groups]
    table = pd.DataFrame(logs, columns=["n", *LOG_ERRORS], index=groups.size().index)
    half = t_quantile(table["n"]) / np.sqrt(table["n"])
    with np.errstate(invalid="ignore"):
        for name in COMPONENTS:
            # pandas' own mean leaves out nan, which would hide it.
            mean = groups[name].agg(lambda values: np.mean(values.to_numpy(dtype=float)))
            sd = groups[name].std(ddof=1)
            columns = {"mean": mean, "sd": sd, "ci_low": mean - half * sd, "ci_high": mean + half * sd}
            if f"{name}_sem" in schema.PROBE_QUANTITIES:
                columns["sem"] = groups[f"{name}_sem"].mean()
            table = table.assign(**{f"{name}_{end}": column for end, column in columns.items()})
    table = table.reset_index().merge(cost_lines(runs), "left", [SETTING, B])
    derived = [ratios(point) for point in table.to_dict("records")]
    table = table.join(pd.DataFrame(derived, columns=RATIOS, index=table.index))
    around = [uncertainty(point) for point in table.to_dict("records")]
    ends = [f"{name}_{end}" for name in UNCERTAIN for end in ("sem", "ci_low", "ci_high")]
    return table.join(pd.DataFrame(around, columns=ends, index=table.index))


@np.errstate(invalid="ignore")
def seed_errors(group: pd.DataFrame) -> LogErrors:
    """The standard errors of log(var_mc / var_data) and of log SNR of the mean components of some seeds.

    One seed has the errors of its probe, over images and draws; several have a jackknife over seeds.
    """
    first, values = group.iloc[0], group[list(COMPONENTS)].to_numpy(dtype=float).T
    if len(group) == 1:
        return LogErrors(*first[LOG_ERRORS])
    left_out = (values.sum(axis=1, keepdims=True) - values) / (len(group) - 1)
    return errors.log_errors(left_out, first[K] / first[SET_SIZE])


def uncertainty(point: Row) -> dict[str, float]:
    """The errors of UNCERTAIN by the delta method on logarithms: NAME_sem of one seed, else the t-interval NAME_ci_low,
    NAME_ci_high. All but that of the SNR follow from the error of log(var_mc / var_data); K* adds that of its costs.
    """
    error, sets, n = point["mc_ratio_log_sem"], point[K] / point[SET_SIZE], point["n"]
    found, quantile = {}, t_quantile(n)
    with np.errstate(all="ignore"):
        ratio = np.float64(point["var_mc_mean"]) / point["var_data_mean"]
        of_logs = {
            SHARE: errors.share_error(ratio / sets, error) / point[SHARE],
            SHARE_SINGLE: errors.share_error(ratio, error) / point[SHARE_SINGLE],
            CEILING: errors.ceiling_log_error(ratio, error),
            "snr": point["snr_log_sem"],
            "b_eq": errors.b_eq_log_error(ratio, sets, error),
            BEST_K: errors.best_samples_log_error(error, point["cost_log_sem"]),
        }
        halves = {name: quantile * log_error for name, log_error in of_logs.items()}
        halves[BEST_K] = errors.best_samples_log_error(quantile * error, point["cost_log_half_width"])
        for name, log_error in of_logs.items():
            half, highest = halves[name], 1.0 if name in (SHARE, SHARE_SINGLE) else math.inf
            found[f"{name}_sem"] = point[name] * log_error if n == 1 else math.nan
            found[f"{name}_ci_low"] = point[name] * np.exp(-half)
            found[f"{name}_ci_high"] = np.minimum(point[name] * np.exp(half), highest)
    return found


def ratios(point: Row) -> dict[str, float]:
    """What the components of a point imply.

        step_mc = var_mc set_size / K,   mc_share = step_mc / (var_data + step_mc),   ceiling = 1 + var_mc / var_data

    Returns:
        RATIOS; nan where an estimate below zero or a set leaves it undefined. step_mc, mc_share, snr, noise_scale and
        b_eq are for the run's own K. ceiling is against one observation. mc_share_single and K* are of single draws:
        nan where the draws of an observation depend on each other. K* has the costs of cost_lines().
    """
    single = bool(point[INDEPENDENT])
    size, k, batch = int(point[SET_SIZE]), int(point[K]), int(point[B])
    var_data, var_mc, square = (float(point[f"{name}_mean"]) for name in COMPONENTS)
    parts = VarianceComponents(var_data, var_mc, square, size)
    best, step_mc = OptimalSamples(math.nan, None), var_mc * size / k
    if single:
        best = components.optimal_mc_samples(parts, point["seconds_fixed"], point["seconds_per_draw"])
    return {
        STEP_MC: step_mc,
        SHARE: components.mc_share(step_mc, var_data),
        SHARE_SINGLE: components.mc_share(var_mc, var_data) if single else math.nan,
        CEILING: components.ceiling(parts),
        "snr": components.snr(parts, batch, k),
        "noise_scale": components.noise_scale(parts, k),
        "b_eq": components.equivalent_batch_size(parts, batch, k),
        BEST_K: best.continuous,
        BEST_INTEGER: math.nan if best.integer is None else best.integer,
    }


def last_probe(points: pd.DataFrame) -> pd.DataFrame:
    """The points of the last probed epoch of each setting, K and B."""
    return points[points[EPOCH] == points.groupby(CELL_OF)[EPOCH].transform("max")]


def smallest(points: pd.DataFrame) -> pd.DataFrame:
    """The points of the smallest K of each setting and B."""
    return points[points[K] == points.groupby([SETTING, B])[K].transform("min")]


def single(points: pd.DataFrame) -> bool:
    """Whether V_mc is that of one draw. It is that of a set of K where draws depend on each other or share a bound."""
    return bool(points[INDEPENDENT].all())


def headline(points: pd.DataFrame) -> pd.DataFrame:
    """The rows of the loss and of the parts, in the optimizer's metric where that was recorded, else as traces."""
    norm = SCALED if (points[NORM] == SCALED).any() else TRACE
    parts = points[points[PART].isin(schema.PROBE_PARTS)]
    return parts[(parts[NORM] == norm) | (parts[PART] == "loss")]


def left_out(history: pd.DataFrame, runs: pd.DataFrame) -> int:
    """How many runs have probes without a record of what an observation is."""
    rows = probed(history, runs)
    return rows.loc[rows[list(OBSERVATION)].isna().any(axis=1), "run_id"].nunique()
