"""Stability and time to the threshold, as the report writes them."""

import math
from collections.abc import Callable

import pandas as pd

from analysis import display
from analysis.display import Columns, Row, Table, labelled, spread
from analysis.stability import numbers
from analysis.stability.numbers import AT_RISK, AXES, CUT_SHORT, IN_A_ROW, REACHED, THRESHOLD, TO_EPOCHS, TO_SECONDS
from analysis.statistics.intervals import clopper_pearson
from analysis.store import B, K
from src import schema
from src.schema import Quantity
from src.writing import decimals, percent, plural, significant, whole

SD = f"{schema.FINAL_TEST_NLL.key}_sd"
STABILITY = (
    "Path of the {} from epoch to epoch, and losses within epochs: medians over the runs that "
    "finished or diverged, lowest and highest in brackets; standard deviations and active units are of finished runs."
)
TIMES = "Time to threshold: training until the first of {} epochs in a row after which the {} is at most {} {}, {}."
CHOSEN = "set on the command line"
DERIVED = "chosen from these runs: the worst cell's median of the highest of the last of them, so half of each reach it"


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


def threshold_table(cells: pd.DataFrame, kind: str, chosen: bool) -> Table:
    """time_to_threshold of one setting; chosen: whether the threshold was chosen by the user."""
    cells = cells[cells[AT_RISK] > 0]
    test, value = labelled(schema.TEST_NLL, kind), decimals(cells[THRESHOLD.key].max())
    columns: Columns = {"runs that reached it": arrivals}
    columns |= {f"median {axis.axis}": length(axis, "median") for axis in AXES}
    columns |= {f"earliest run, {axis.axis}": length(axis, "first") for axis in (TO_EPOCHS, TO_SECONDS)}
    return display.table(
        TIMES.format(IN_A_ROW, test.label, value, test.unit, CHOSEN if chosen else DERIVED), cells, columns
    )


def arrivals(cell: Row, noun: str = "") -> str:
    """How many runs reached the threshold, and how many were not seen long enough to tell."""
    lost = f", {cell[CUT_SHORT]:.0f} cut short" if cell[CUT_SHORT] else ""
    return f"{cell[REACHED]:.0f} of {cell[AT_RISK]:.0f}{noun}{lost}"


def length(axis: Quantity, end: str) -> Callable[[Row], str]:
    """How a time to the threshold is written, or that fewer than half arrived."""
    write = whole if axis is TO_EPOCHS else significant
    return display.number(f"{axis.key}_{end}", lambda value: "not by half" if math.isinf(value) else write(value))


def threshold_sentences(cells: pd.DataFrame, kind: str) -> list[str]:
    """A sentence per B: how soon the smallest and the largest K reach the threshold."""
    test = labelled(schema.TEST_NLL, kind)

    def arrival(cell: Row) -> str:
        epochs, seconds = (cell[f"{axis.key}_median"] for axis in (TO_EPOCHS, TO_SECONDS))
        late = math.isinf(epochs)
        time = "not by half" if late else f"after {plural(int(epochs), 'epoch')} and {significant(seconds)} s"
        return f"at K = {cell[K]} {time} ({arrivals(cell, ' runs')})"

    return [
        f"B = {batch_size}: a {test.label} of {decimals(low[THRESHOLD.key])} {test.unit} is reached {arrival(low)}, "
        f"{arrival(high)}; medians."
        for batch_size, low, high in display.ends(cells[cells[AT_RISK] > 0])
        if low[K] != high[K]
    ]


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
