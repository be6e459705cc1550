"""Differences and ratios between runs of one seed, which share initial weights, data order and draws."""

import numpy as np
import pandas as pd

from analysis.statistics.intervals import t_intervals
from analysis.store import SEED, TAG_PREFIX, K
from src import schema
from src.schema import Quantity

# Kind of processor and number of threads. The draws of a seed are the same bit for bit only where both are equal.
MACHINE = [f"{TAG_PREFIX}{schema.CPU}", f"{TAG_PREFIX}{schema.THREADS}"]


def candidates(table: pd.DataFrame, by: list[str], quantity: Quantity) -> pd.DataFrame:
    """Each value y at K > K_min beside y_0, that at K_min of the same group and seed; same_machine: whether the tags
    MACHINE of both runs are equal, or missing from both.
    """
    seed = [*by, SEED]
    values = table.reindex(columns=[*seed, K, quantity.key, *MACHINE]).rename(columns={quantity.key: "y"})
    values = values[np.isfinite(values["y"].astype(float))]
    cpu, threads = (values[name].astype("str").fillna("") for name in MACHINE)
    values = values.assign(machine=cpu + ", " + threads)
    smallest = values.groupby(by)[K].transform("min").rename("reference")
    is_smallest = values[K] == smallest
    reference = values.loc[is_smallest, [*seed, "y", "machine"]]
    pairs = values.join(smallest)[~is_smallest].merge(reference, on=seed, suffixes=("", "_0"))
    return pairs.assign(same_machine=pairs["machine"] == pairs["machine_0"])


def paired(table: pd.DataFrame, by: list[str], quantity: Quantity, ratio: bool = False) -> pd.DataFrame:
    """A quantity at K against the smallest K of the same group, over the seeds that have both.

        d_s = y_s(K) - y_s(K_min);   with ratio   log d_s = log y_s(K) - log y_s(K_min), transformed back

    Pairs of two kinds of machines are left out.

    Args:
        table: finished runs, or their history with the tags MACHINE.
        by: the columns that paired values share besides the seed: setting and B, and the epoch in a history.
        ratio: compare by ratio, for positive quantities, instead of by difference in the quantity's unit.
    Returns:
        One row per group and K > K_min with at least two pairs: by, mc_samples, reference (K_min), the columns of
        t_intervals(), n being the number of pairs, and rho, the correlation over seeds (nan at two pairs, where it
        would be 1 or -1).
    """
    pairs = candidates(table, by, quantity)
    pairs = pairs[pairs["same_machine"]]
    pairs = pairs.assign(d=pairs["y"] / pairs["y_0"] if ratio else pairs["y"] - pairs["y_0"])
    cell = [*by, K, "reference"]
    result = t_intervals(pairs, cell, "d", log=ratio)
    rho = {key: group["y"].corr(group["y_0"], min_periods=3) for key, group in pairs.groupby(cell)}
    result["rho"] = [rho[key] for key in result[cell].itertuples(index=False, name=None)]
    return result[result["n"] > 1].reset_index(drop=True)
