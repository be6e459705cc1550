"""Results of each cell, by epoch and at the end."""

import pandas as pd

from analysis.statistics import AXES, CELL_OF, DECODER_EVALUATIONS, EPOCH_SECONDS, finished, intervals
from analysis.statistics.amounts import EVALUATIONS, SECONDS, amounts, taken
from analysis.statistics.completeness import count
from analysis.store import CELL, EPOCH, B, K
from src import schema

NLL, VARIANCE, ESS = schema.FINAL_TEST_NLL, schema.TRAIN_LOSS_VARIANCE, schema.FINAL_IW_ESS
AVERAGED = (
    NLL, schema.FINAL_TEST_NLL_QUADRATURE, ESS, schema.FINAL_TEST_NEG_ELBO, schema.FINAL_TEST_KL,
    schema.FINAL_ACTIVE_UNITS, schema.TRAIN_LOSS, VARIANCE, EPOCH_SECONDS, schema.RUN_SECONDS,
    schema.RUN_PEAK_RSS_BYTES,
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


def by_amount(history: pd.DataFrame) -> pd.DataFrame:
    """The test NLL by epoch of each K and B, with t_intervals() over seeds and the mean of each of AXES."""
    rows = amounts(history)
    means = rows.groupby([*CELL, EPOCH])[[axis.key for axis in AXES]].mean().reset_index()
    nll = intervals.t_intervals(rows, [*CELL, EPOCH], schema.TEST_NLL.key)
    return nll.merge(means, on=[*CELL, EPOCH])


def prices(runs: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """What each K and B of finished runs costs and reaches: t_intervals() of the final test NLL over seeds; the medians
    of seconds and decoder evaluations of a whole training; and whether no other cell reaches a lower mean NLL in as
    few of them, front_SECONDS.key and front_EVALUATIONS.key.
    """
    costs = [SECONDS.key, EVALUATIONS.key]
    totals = history[["run_id", *CELL]].join(taken(history)[costs]).groupby(["run_id", *CELL])[costs].sum(min_count=1)
    table = intervals.t_intervals(runs, CELL, NLL.key)
    table = table.merge(totals.groupby(CELL).median().reset_index(), "left", CELL)
    for key in costs:
        # In the order of costs a cell is on the front where it is better than all before it.
        ordered = table.dropna(subset=[key]).sort_values([key, "mean"])["mean"]
        on_front = ordered < ordered.cummin().shift(fill_value=float("inf"))
        table[f"front_{key}"] = on_front.reindex(table.index, fill_value=False)
    return table.sort_values([B, K], ignore_index=True)
