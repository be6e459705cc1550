"""Results of each cell, by epoch and at the end, and what a larger K changes."""

import pandas as pd

from analysis.statistics import (
    CELL_OF,
    DECODER_EVALUATIONS,
    EPOCH_SECONDS,
    SETTING,
    completeness,
    finished,
    intervals,
    pairs,
)
from analysis.store import CELL, EPOCH, B, K
from src import schema
from src.schema import Quantity

NLL, VARIANCE = schema.FINAL_TEST_NLL, schema.TRAIN_LOSS_VARIANCE
AVERAGED = (
    NLL,
    schema.FINAL_TEST_NLL_QUADRATURE,
    schema.FINAL_TEST_NEG_ELBO,
    schema.FINAL_TEST_KL,
    schema.FINAL_ACTIVE_UNITS,
    schema.TRAIN_LOSS,
    VARIANCE,
    EPOCH_SECONDS,
    schema.RUN_SECONDS,
    schema.RUN_PEAK_RSS_BYTES,
)


def results_by_cell(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: the counts, decoder evaluations per epoch, and the t_intervals() of each quantity.

    Args:
        runs: marked runs.
    Returns:
        setting, mc_samples, batch_size, n_seeds, n_STATUS, n_missing, n_set_aside,
        train/decoder_evaluations, and KEY_n, KEY_mean, KEY_sd, KEY_ci_low, KEY_ci_high for each of AVERAGED.
    """
    usable = finished(runs)
    evaluations = usable.groupby(CELL_OF)[DECODER_EVALUATIONS.key].median().reset_index()
    table = completeness.count(runs).merge(evaluations, "left", CELL_OF)
    for quantity in AVERAGED:
        columns = intervals.t_intervals(usable, CELL_OF, quantity.key).set_index(CELL_OF)
        table = table.merge(columns.add_prefix(f"{quantity.key}_").reset_index(), "left", CELL_OF)
        table[f"{quantity.key}_n"] = table[f"{quantity.key}_n"].fillna(0).astype("int64")
    return table


def gains_by_cell(runs: pd.DataFrame) -> pd.DataFrame:
    """What each K changes against the smallest K of the same setting and B.

    Args:
        runs: marked runs.
    Returns:
        The columns of pairs.paired() for the final test NLL in nats/image; of the last epoch's loss variance and of the
        seconds per epoch the paired ratios KEY_ratio, KEY_ratio_ci_low and KEY_ratio_ci_high.
    """
    usable, by = finished(runs), [SETTING, B]
    table = pairs.paired(usable, by, NLL)
    cell = [*by, K, "reference"]
    for quantity in (VARIANCE, EPOCH_SECONDS):
        ratios = pairs.paired(usable, by, quantity, ratio=True).set_index(cell)
        ratios = ratios[["mean", "ci_low", "ci_high"]].add_prefix(f"{quantity.key}_ratio_").reset_index()
        ratios = ratios.rename(columns={f"{quantity.key}_ratio_mean": f"{quantity.key}_ratio"})
        table = table.merge(ratios, "left", cell)
    return table


def by_epoch(history: pd.DataFrame, quantity: Quantity, log: bool = False) -> pd.DataFrame:
    """A quantity by epoch: one row per (K, B, epoch) with t_intervals() over seeds."""
    return intervals.t_intervals(history, [*CELL, EPOCH], quantity.key, log)
