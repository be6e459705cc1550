"""Results by cell and differences between K, as the report writes them."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis.curves.numbers import NLL, VARIANCE
from analysis.display import NONE, Table, capitalised, counted, decimals, interval, labelled, significant, table, whole
from analysis.statistics import pairs
from analysis.statistics.cost import DECODER_EVALUATIONS, EPOCH_SECONDS
from analysis.store import STATUSES, B, K
from src import schema
from src.schema import Quantity


def seeds(cells: pd.DataFrame) -> str:
    """The number of finished seeds behind each mean: that of most cells, and the cells that have another."""
    usual = int(cells["n_finished"].mode().max())
    others = cells[cells["n_finished"] != usual].to_dict("records")
    if not others:
        return f"n = {usual} in every cell"
    return f"n = {usual}, but " + ", ".join(f"{c['n_finished']} at K = {c[K]}, B = {c[B]}" for c in others)


def lacking(cell: dict[Hashable, Any]) -> str:
    """The runs of a cell that did not finish, were never started, or are repeats."""
    names = [name for name in (*STATUSES, "missing", "set_aside") if name != schema.FINISHED]
    return ", ".join(f"{cell[f'n_{name}']} {name.replace('_', ' ')}" for name in names if cell[f"n_{name}"]) or NONE


def cell_table(cells: pd.DataFrame, kind: str) -> Table:
    """results_by_cell() of one setting, by its main columns."""
    nll, quadrature = labelled(NLL, kind), labelled(schema.FINAL_TEST_NLL_QUADRATURE, kind)
    exact = cells[f"{quadrature.key}_n"].any()

    def row(cell: dict[Hashable, Any]) -> dict[str, str]:
        return {
            "B": str(cell[B]),
            "K": str(cell[K]),
            "seeds finished": f"{cell['n_finished']} of {cell['n_seeds'] + cell['n_missing']}",
            "not finished, repeats": lacking(cell),
            nll.axis: decimals(cell[f"{NLL.key}_mean"]),
            "sd over seeds": decimals(cell[f"{NLL.key}_sd"]),
            "95 % interval": interval(cell[f"{NLL.key}_ci_low"], cell[f"{NLL.key}_ci_high"]),
            **({quadrature.axis: decimals(cell[f"{quadrature.key}_mean"])} if exact else {}),
            f"{VARIANCE.axis}, last epoch": significant(cell[f"{VARIANCE.key}_mean"]),
            EPOCH_SECONDS.axis: significant(cell[f"{EPOCH_SECONDS.key}_mean"]),
            DECODER_EVALUATIONS.axis: whole(cell[DECODER_EVALUATIONS.key]),
        }

    caption = f"{capitalised(nll.label)}, stability and cost by cell; means over seeds, {seeds(cells)}."
    return table(caption, map(row, cells.sort_values([B, K]).to_dict("records")))


def gain_table(gains: pd.DataFrame, kind: str) -> Table:
    """gains_by_cell() of one setting."""
    nll = labelled(NLL, kind)

    def ratio(gain: dict[Hashable, Any], quantity: Quantity) -> str:
        low, high = gain[f"{quantity.key}_ratio_ci_low"], gain[f"{quantity.key}_ratio_ci_high"]
        return f"{significant(gain[f'{quantity.key}_ratio'])} ({interval(low, high, significant)})"

    def row(gain: dict[Hashable, Any]) -> dict[str, str]:
        return {
            "B": str(gain[B]),
            "K": str(gain[K]),
            "against K": str(gain["reference"]),
            "pairs n": str(gain["n"]),
            f"difference of {nll.axis}": decimals(gain["mean"]),
            "95 % interval": interval(gain["ci_low"], gain["ci_high"]),
            "correlation over seeds": decimals(gain["rho"]),
            f"ratio of {VARIANCE.label}, last epoch": ratio(gain, VARIANCE),
            f"ratio of {EPOCH_SECONDS.label}": ratio(gain, EPOCH_SECONDS),
        }

    caption = (
        "What each K buys against the smallest K, over the n seeds that finished both; 95 % t-intervals, in brackets "
        "for ratios, not corrected for the number of comparisons. Negative differences favour the larger K."
    )
    return table(caption, map(row, gains.sort_values([B, K]).to_dict("records")))


def nll_sentences(cells: pd.DataFrame, gains: pd.DataFrame, kind: str) -> list[str]:
    """A sentence per B: what the largest K does to likelihood, stability and time, against the smallest."""
    compared = {(gain[B], gain[K]): gain for gain in gains.to_dict("records")}
    sentences = []
    for batch_size, group in cells[cells[f"{NLL.key}_n"] > 0].sort_values(K).groupby(B):
        levels = group.to_dict("records")
        low, high = levels[0], levels[-1]
        start = f"B = {batch_size}, K = {high[K]} against K = {low[K]}: "
        if low is high:
            sentences.append(f"B = {batch_size}: only K = {low[K]} has finished runs, so there is nothing to compare.")
        elif (batch_size, high[K]) in compared:
            sentences.append(start + _paired(compared[batch_size, high[K]], labelled(NLL, kind)))
        else:
            sentences.append(start + _unpaired(low, high, labelled(NLL, kind)))
    return sentences


def _paired(gain: dict[Hashable, Any], nll: Quantity) -> str:
    verdict = "excludes" if gain["ci_low"] > 0 or gain["ci_high"] < 0 else "includes"
    return (
        f"{nll.label} changes by {decimals(gain['mean'])} {nll.unit} (95 % interval "
        f"{interval(gain['ci_low'], gain['ci_high'])}, n = {gain['n']} pairs; the interval {verdict} 0), "
        f"{VARIANCE.label} in the last epoch by a factor {significant(gain[f'{VARIANCE.key}_ratio'])}, "
        f"{EPOCH_SECONDS.label} by a factor {significant(gain[f'{EPOCH_SECONDS.key}_ratio'])}."
    )


def _unpaired(low: dict[Hashable, Any], high: dict[Hashable, Any], nll: Quantity) -> str:
    return (
        f"{nll.label} differs by {decimals(high[f'{nll.key}_mean'] - low[f'{nll.key}_mean'])} {nll.unit}, at "
        f"{significant(high[f'{EPOCH_SECONDS.key}_mean'] / low[f'{EPOCH_SECONDS.key}_mean'])} times the "
        f"{EPOCH_SECONDS.label}. Fewer than two seeds have a pair of finished runs, so there is no interval: this "
        "difference cannot be told from the spread between seeds."
    )


def pairs_note(runs: pd.DataFrame) -> list[str]:
    """How many pairs of a setting's runs two kinds of machines made, where there are any."""
    n = pairs.left_out(runs)
    if not n:
        return []
    return [
        f"{counted(n, 'pair')} of runs of one seed, from all paired differences: their runs have different kinds of "
        "processor or numbers of threads, between which the random numbers are not the same bit for bit."
    ]


def cells_as_text(cells: pd.DataFrame, kind: str) -> str:
    """results_by_cell() of one setting, for a terminal."""
    names = {
        B: "B",
        K: "K",
        "n_finished": "n",
        f"{NLL.key}_mean": kind,
        f"{NLL.key}_sd": "sd",
        f"{NLL.key}_ci_low": "95 % low",
        f"{NLL.key}_ci_high": "high",
        f"{EPOCH_SECONDS.key}_mean": "s/epoch",
    }
    shown = cells.sort_values([B, K])[list(names)].rename(columns=names)
    return shown.to_string(index=False, na_rep=NONE, float_format="{:.2f}".format)
