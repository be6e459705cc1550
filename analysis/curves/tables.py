"""Results by cell, as a table of the report and for a terminal."""

from pathlib import Path

import pandas as pd

from analysis.curves.numbers import ESS, NLL, VARIANCE
from analysis.display import Row, Table, interval, labelled, number, table
from analysis.statistics import DECODER_EVALUATIONS, EPOCH_SECONDS
from analysis.store import STATUSES
from src import schema
from src.writing import ASCII, aligned, render, significant, whole


def cell_table(cells: pd.DataFrame, kind: str) -> Table:
    """results_by_cell() of one setting, by its main columns."""
    quadrature = schema.FINAL_TEST_NLL_QUADRATURE
    # The score of every run, unless an earlier version has recorded it beside another score.
    exact = cells[f"{quadrature.key}_n"].any() and cells[f"{quadrature.key}_mean"].equals(cells[f"{NLL.key}_mean"])
    nll = labelled(quadrature if exact else NLL, kind)
    usual = int(cells["n_finished"].mode().max())
    others = cells[cells["n_finished"] != usual].to_dict("records")
    caption = render(Path(__file__).with_name("cells.md.j2"), usual=usual, others=others)
    columns = {
        "seeds finished": lambda cell: f"{cell['n_finished']} of {cell['n_seeds'] + cell['n_missing']}",
        "not finished, repeats": lacking,
        nll.axis: number(f"{NLL.key}_mean"),
        "sd over seeds": number(f"{NLL.key}_sd"),
        "95 % interval": lambda cell: interval(cell, f"{NLL.key}_"),
        **({ESS.label: number(f"{ESS.key}_mean", significant)} if cells[f"{ESS.key}_n"].any() else {}),
        f"{VARIANCE.axis}, last epoch": number(f"{VARIANCE.key}_mean", significant),
        EPOCH_SECONDS.axis: number(f"{EPOCH_SECONDS.key}_mean", significant),
        DECODER_EVALUATIONS.axis: number(DECODER_EVALUATIONS.key, whole),
    }
    return table(f"The {nll.label}, stability and cost by cell", cells, columns, caption)


def lacking(cell: Row) -> str:
    """The runs of a cell that did not finish, were never started, or are repeats."""
    names = [name for name in (*STATUSES, "missing", "set_aside") if name != schema.FINISHED]
    return ", ".join(f"{cell[f'n_{name}']} {name.replace('_', ' ')}" for name in names if cell[f"n_{name}"]) or "none"


def cells_as_text(cells: pd.DataFrame, kind: str) -> str:
    """results_by_cell() of one setting, for a terminal."""
    columns = {
        "n": number("n_finished", str),
        kind: number(f"{NLL.key}_mean"),
        "sd": number(f"{NLL.key}_sd"),
        "95 % interval": lambda cell: interval(cell, f"{NLL.key}_"),
        "s/epoch": number(f"{EPOCH_SECONDS.key}_mean"),
    }
    shown = table(kind, cells, columns)
    return "\n".join(aligned([shown.heads, *shown.rows])).translate(ASCII)
