"""Stability, as the report writes it."""

import pandas as pd

from analysis import display
from analysis.display import Row, Table, labelled, spread
from analysis.stability import numbers
from analysis.statistics.intervals import clopper_pearson
from analysis.store import B, K
from src import schema
from src.writing import decimals, percent, plural, significant, whole

SD = f"{schema.FINAL_TEST_NLL.key}_sd"
STABILITY = (
    "Path of the {} from epoch to epoch, and losses within epochs: medians over the runs that "
    "finished or diverged, lowest and highest in brackets; standard deviations and active units are of finished runs."
)


def stability_table(cells: pd.DataFrame, kind: str) -> Table:
    """stability_by_cell() of one setting."""
    final, active = labelled(schema.FINAL_TEST_NLL, kind), schema.FINAL_ACTIVE_UNITS
    columns = {
        "diverged, of the runs that ended (95 % interval)": diverged,
        numbers.WORST_STEP.axis: spread(numbers.WORST_STEP.key),
        numbers.STEP_TO_STEP.axis: spread(numbers.STEP_TO_STEP.key),
        numbers.SHARE_WORSE.axis: spread(numbers.SHARE_WORSE.key, percent),
        numbers.DRAWDOWN.axis: spread(numbers.DRAWDOWN.key),
        numbers.SPIKES.label: spread(numbers.SPIKES.key, whole),
        "the same per 1,000 judged steps": spread(numbers.SPIKE_RATE.key),
        **{f"{sd.axis}, last epoch": display.number(sd.key, significant) for sd in numbers.SDS},
        f"sd of the {final.label} over seeds [{final.unit}] (95 % interval)": seed_sd,
        active.axis: spread(active.key, whole),
    }
    return display.table(STABILITY.format(labelled(schema.TEST_NLL, kind).label), cells, columns)


def diverged(cell: Row) -> str:
    """How many of the runs that ended diverged, with the interval of the rate."""
    if pd.isna(cell["ended_n"]):
        return "0 of 0"
    return f"{cell['diverged_n']:.0f} of {cell['ended_n']:.0f} ({display.interval(cell, 'diverged_', percent)})"


def seed_sd(cell: Row) -> str:
    """The sd over seeds and, from two seeds on, its interval."""
    return decimals(cell[SD]) + (f" ({display.interval(cell, f'{SD}_')})" if cell[f"{SD}_ci_low"] >= 0 else "")


def divergence_sentences(cells: pd.DataFrame) -> list[str]:
    """How many of the runs that ended diverged, over all cells, and in which."""
    ended, lost = int(cells["ended_n"].sum()), int(cells["diverged_n"].sum())
    if not ended:
        return []
    low, high = clopper_pearson(lost, ended)
    where = cells[cells["diverged_n"] > 0].to_dict("records")
    cases = "; ".join(f"K = {cell[K]}, B = {cell[B]}: {diverged(cell)}" for cell in where)
    rate = f"{lost} of {plural(ended, 'run')} that ended diverged (95 % interval of the rate "
    rate += f"{percent(low)} to {percent(high)}, over all cells)."
    return [f"{rate} {cases}".strip()]
