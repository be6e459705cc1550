"""Results by cell and differences between K, as the report writes them."""

import pandas as pd

from analysis.curves.numbers import NLL, VARIANCE
from analysis.display import Row, Table, counted, decimals, ends, interval, labelled, number, significant, table, whole
from analysis.statistics import DECODER_EVALUATIONS, EPOCH_SECONDS, pairs
from analysis.store import STATUSES, B, K
from src import schema


def seeds(cells: pd.DataFrame) -> str:
    """The number of finished seeds behind each mean: that of most cells, and the cells that have another."""
    usual = int(cells["n_finished"].mode().max())
    others = cells[cells["n_finished"] != usual].to_dict("records")
    if not others:
        return f"n = {usual} in every cell"
    return f"n = {usual}, but " + ", ".join(f"{c['n_finished']} at K = {c[K]}, B = {c[B]}" for c in others)


def lacking(cell: Row) -> str:
    """The runs of a cell that did not finish, were never started, or are repeats."""
    names = [name for name in (*STATUSES, "missing", "set_aside") if name != schema.FINISHED]
    return ", ".join(f"{cell[f'n_{name}']} {name.replace('_', ' ')}" for name in names if cell[f"n_{name}"]) or "none"


def cell_table(cells: pd.DataFrame, kind: str) -> Table:
    """results_by_cell() of one setting, by its main columns."""
    quadrature = schema.FINAL_TEST_NLL_QUADRATURE
    # The score of every run, unless an earlier version has recorded it beside another score.
    exact = cells[f"{quadrature.key}_n"].any() and cells[f"{quadrature.key}_mean"].equals(cells[f"{NLL.key}_mean"])
    nll = labelled(quadrature if exact else NLL, kind)
    caption = f"The {nll.label}, stability and cost by cell; means over seeds, {seeds(cells)}."
    columns = {
        "seeds finished": lambda cell: f"{cell['n_finished']} of {cell['n_seeds'] + cell['n_missing']}",
        "not finished, repeats": lacking,
        nll.axis: number(f"{NLL.key}_mean"),
        "sd over seeds": number(f"{NLL.key}_sd"),
        "95 % interval": lambda cell: interval(cell, f"{NLL.key}_"),
        f"{VARIANCE.axis}, last epoch": number(f"{VARIANCE.key}_mean", significant),
        EPOCH_SECONDS.axis: number(f"{EPOCH_SECONDS.key}_mean", significant),
        DECODER_EVALUATIONS.axis: number(DECODER_EVALUATIONS.key, whole),
    }
    return table(caption, cells, columns)


def gain_table(gains: pd.DataFrame, kind: str) -> Table:
    """gains_by_cell() of one setting."""
    caption = (
        "What each K buys against the smallest K, over the n seeds that finished both; 95 % t-intervals, not corrected "
        "for the number of comparisons. Negative differences favour the larger K."
    )
    columns = {
        "against K": number("reference", str),
        "pairs n": number("n", str),
        f"difference of {labelled(NLL, kind).axis}": number("mean"),
        "95 % interval": interval,
        "correlation over seeds": number("rho"),
        f"ratio of {VARIANCE.label}, last epoch": lambda gain: ratio(gain, f"{VARIANCE.key}_ratio"),
        f"ratio of {EPOCH_SECONDS.label}": lambda gain: ratio(gain, f"{EPOCH_SECONDS.key}_ratio"),
    }
    return table(caption, gains, columns)


def ratio(gain: Row, key: str) -> str:
    """A paired ratio and its interval."""
    return f"{significant(gain[key])} ({interval(gain, f'{key}_', significant)})"


def nll_sentences(cells: pd.DataFrame, gains: pd.DataFrame, kind: str) -> list[str]:
    """A sentence per B: what the largest K does to likelihood, stability and time, against the smallest."""
    compared = {(gain[B], gain[K]): gain for gain in gains.to_dict("records")}
    nll, seconds, variance = labelled(NLL, kind), EPOCH_SECONDS, VARIANCE
    sentences = []
    for batch_size, low, high in ends(cells[cells[f"{NLL.key}_n"] > 0]):
        gain = compared.get((batch_size, high[K]))
        text = f"B = {batch_size}, K = {high[K]} against K = {low[K]}: {nll.label} "
        if low[K] == high[K]:
            text = f"B = {batch_size}: only K = {low[K]} has finished runs, so there is nothing to compare."
        elif gain:
            verdict = "excludes" if gain["ci_low"] > 0 or gain["ci_high"] < 0 else "includes"
            text += (
                f"changes by {decimals(gain['mean'])} {nll.unit} (95 % interval {interval(gain)}, n = {gain['n']} "
                f"pairs; the interval {verdict} 0), {variance.label} in the last epoch by a factor "
                f"{significant(gain[f'{variance.key}_ratio'])}, {seconds.label} by a factor "
                f"{significant(gain[f'{seconds.key}_ratio'])}."
            )
        else:
            text += (
                f"differs by {decimals(high[f'{NLL.key}_mean'] - low[f'{NLL.key}_mean'])} {nll.unit}, at "
                f"{significant(high[f'{seconds.key}_mean'] / low[f'{seconds.key}_mean'])} times the {seconds.label}. "
                "Without two pairs of finished runs there is no interval."
            )
        sentences.append(text)
    return sentences


def pairs_note(runs: pd.DataFrame) -> list[str]:
    """How many pairs of a setting's runs two kinds of machines made, where there are any."""
    n = pairs.left_out(runs)
    text = f"{counted(n, 'pair')} of runs of one seed: on different kinds of processor or numbers of threads."
    return [text] if n else []


def cells_as_text(cells: pd.DataFrame, kind: str) -> str:
    """results_by_cell() of one setting, for a terminal."""
    names = {B: "B", K: "K", "n_finished": "n", f"{NLL.key}_mean": kind, f"{NLL.key}_sd": "sd"}
    names |= {f"{NLL.key}_ci_low": "95 % low", f"{NLL.key}_ci_high": "high", f"{EPOCH_SECONDS.key}_mean": "s/epoch"}
    shown = cells.sort_values([B, K])[list(names)].rename(columns=names)
    return shown.to_string(index=False, na_rep="–", float_format="{:.2f}".format)
