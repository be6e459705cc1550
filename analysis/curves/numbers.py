"""Results of each cell, by epoch and at the end."""

import pandas as pd

from analysis.statistics import CELL_OF, DECODER_EVALUATIONS, EPOCH_SECONDS, finished, intervals
from analysis.statistics.completeness import count
from analysis.store import CELL, EPOCH
from src import schema
from src.schema import Quantity

NLL, VARIANCE = schema.FINAL_TEST_NLL, schema.TRAIN_LOSS_VARIANCE
AVERAGED = (
    NLL, schema.FINAL_TEST_NLL_QUADRATURE, schema.FINAL_TEST_NEG_ELBO, schema.FINAL_TEST_KL, schema.FINAL_ACTIVE_UNITS,
    schema.TRAIN_LOSS, VARIANCE, EPOCH_SECONDS, schema.RUN_SECONDS, schema.RUN_PEAK_RSS_BYTES,
)  # fmt: skip


def results_by_cell(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell of marked runs: count(), decoder evaluations per epoch, and the t_intervals() of each of
    AVERAGED as KEY_n, KEY_mean, KEY_sd, KEY_ci_low, KEY_ci_high.
    """
    usable = finished(runs)
    evaluations = usable.groupby(CELL_OF)[DECODER_EVALUATIONS.key].median().reset_index()
    table = count(runs).merge(evaluations, "left", CELL_OF)
    for quantity in AVERAGED:
        columns = intervals.t_intervals(usable, CELL_OF, quantity.key).set_index(CELL_OF)
        table = table.merge(columns.add_prefix(f"{quantity.key}_").reset_index(), "left", CELL_OF)
        table[f"{quantity.key}_n"] = table[f"{quantity.key}_n"].fillna(0).astype("int64")
    return table


def by_epoch(history: pd.DataFrame, quantity: Quantity, log: bool = False) -> pd.DataFrame:
    """A quantity by epoch: one row per (K, B, epoch) with t_intervals() over seeds."""
    return intervals.t_intervals(history, [*CELL, EPOCH], quantity.key, log)
