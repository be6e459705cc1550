"""Stability, as the report writes it."""

from pathlib import Path

import pandas as pd

from analysis import display
from analysis.display import Row, Table, labelled, spread
from analysis.stability import numbers
from analysis.statistics.intervals import clopper_pearson
from src import schema
from src.writing import decimals, percent, render, significant, whole

HERE = Path(__file__).parent
SD = f"{schema.FINAL_TEST_NLL.key}_sd"


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
        f"{numbers.SPIKES.label} per 1,000 judged steps": spread(numbers.SPIKE_RATE.key),
        **{f"{sd.axis}, last epoch": display.number(sd.key, significant) for sd in numbers.SDS},
        f"sd of the {final.label} over seeds [{final.unit}] (95 % interval)": seed_sd,
        active.axis: spread(active.key, whole),
    }
    caption = render(HERE / "cells.md.j2", nll=labelled(schema.TEST_NLL, kind).label)
    return display.table("Stability by cell", cells, columns, caption)


def diverged(cell: Row) -> str:
    """How many of the runs that ended diverged, with the interval of the rate."""
    if pd.isna(cell["ended_n"]):
        return "0 of 0"
    return f"{cell['diverged_n']:.0f} of {cell['ended_n']:.0f} ({display.interval(cell, 'diverged_', percent)})"


def seed_sd(cell: Row) -> str:
    """The sd over seeds and, from two seeds on, its interval."""
    return decimals(cell[SD]) + (f" ({display.interval(cell, f'{SD}_')})" if cell[f"{SD}_ci_low"] >= 0 else "")


def divergence(cells: pd.DataFrame) -> str:
    """How many of the runs that ended diverged, over all cells, and in which; empty where no run has ended."""
    ended, lost = int(cells["ended_n"].sum()), int(cells["diverged_n"].sum())
    where = [(cell, diverged(cell)) for cell in cells[cells["diverged_n"] > 0].to_dict("records")]
    low, high = clopper_pearson(lost, ended)
    return render(HERE / "divergence.md.j2", ended=ended, lost=lost, low=low, high=high, where=where)
