"""Numbers as the report writes them: display tables and sentences. Nothing is computed here but their layout."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis.completeness import missing, scoreless, set_aside, unfinished
from analysis.display import NONE, Table, capitalised, decimals, interval, significant, table
from analysis.statistics import DECODER_EVALUATIONS, EPOCH_SECONDS
from analysis.tidy import COUNTED, RUN, SETTING, STATUSES, param_columns
from src import schema
from src.schema import Quantity

K, B, SEED = RUN
NLL = schema.FINAL_TEST_NLL
VARIANCE = schema.TRAIN_LOSS_VARIANCE
UNRECORDED_NLL = "NLL of unrecorded kind"


def nll_kind(runs: pd.DataFrame) -> str:
    """What the runs of a setting recorded as their NLL."""
    kind = runs.iloc[0].get(schema.NLL_KIND)
    return UNRECORDED_NLL if pd.isna(kind) else str(kind)


def labelled(quantity: Quantity, kind: str) -> Quantity:
    """The quantity under the name of what was recorded: a grayscale run has a pseudo-NLL."""
    return quantity._replace(label=quantity.label.replace(schema.TRUE_NLL, kind))


def heading(runs: pd.DataFrame, varying: list[str]) -> str:
    """The data of a setting, and in what it differs from the other settings of the report."""
    first = runs.iloc[0]
    data = f"{first.get('data.name', 'data not recorded')}, {first.get('data.pixels', 'unrecorded')} pixels"
    others = [p for p in varying if p not in (schema.NLL_KIND, "data.name", "data.pixels")]
    return "; ".join([data, *(f"{p} = {'none' if pd.isna(first[p]) else first[p]}" for p in others)])


def parameter_table(runs: pd.DataFrame) -> Table:
    """The parameters that all runs of a setting share."""
    first = runs.iloc[0]
    shared = [p for p in param_columns(runs) if p not in (*RUN, *schema.MACHINERY) and pd.notna(first[p])]
    return table("Parameters shared by every run", ({"parameter": p, "value": str(first[p])} for p in shared))


def seeds(cells: pd.DataFrame) -> str:
    """The finished seeds behind each mean: the usual number, and the cells that have another."""
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
    """statistics.summary of one setting, by its main columns."""
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
            DECODER_EVALUATIONS.axis: decimals(cell[DECODER_EVALUATIONS.key], 0),
        }

    caption = f"{capitalised(nll.label)}, stability and cost by cell; means over seeds, {seeds(cells)}."
    return table(caption, map(row, cells.sort_values([B, K]).to_dict("records")))


def gain_table(gains: pd.DataFrame, kind: str) -> Table:
    """statistics.gains of one setting."""
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


def answers(cells: pd.DataFrame, gains: pd.DataFrame, kind: str) -> list[str]:
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
        f"{EPOCH_SECONDS.label}. Fewer than two seeds finished both, so there is no interval: this difference cannot "
        "be told from the spread between seeds."
    )


def run_table(runs: pd.DataFrame) -> Table:
    """The run behind every seed of every cell."""
    return _text(
        "Run ids behind each cell", runs.sort_values([B, K, SEED, "start_time"]), ["status", "run_id", "run_name"]
    )


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    repeats, broken = set_aside(runs), unfinished(runs)
    other = repeats["same_fingerprint"].map({True: "", False: " under another fingerprint"})
    lost = pd.concat([
        broken.assign(why=broken["status"]),
        missing(runs).assign(why="never started", run_id=NONE),
        repeats.assign(why="repeat set aside: " + repeats["status"] + other),
        scoreless(runs).assign(why="finished without a finite test score"),
    ])  # fmt: skip
    return _text("Runs that are in no mean", lost.sort_values([SETTING, B, K, SEED, "run_id"]), ["why", "run_id"])


def _text(caption: str, rows: pd.DataFrame, columns: list[str]) -> Table:
    """The named columns after the setting, B, K and seed, as text."""
    names = {SETTING: "setting", B: "B", K: "K", SEED: "seed", "run_id": "run id", "run_name": "run name"}
    shown = rows[[SETTING, B, K, SEED, *columns]].rename(columns=names).astype(str)
    return Table(caption, shown.columns.tolist(), shown.to_numpy().tolist())


def totals(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of them."""
    counted = runs[runs[COUNTED]]
    by_status = ", ".join(f"{(counted['status'] == status).sum()} {status}" for status in STATUSES)
    return (
        f"{len(runs)} runs recorded: {len(counted)} count, {len(runs) - len(counted)} are repeats of the same cell and "
        f"seed and are set aside. Of those that count: {by_status}. Implied by the grids and never started: "
        f"{len(missing(runs))}."
    )


def plain(cells: pd.DataFrame, kind: str) -> str:
    """statistics.summary of one setting for a terminal."""
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
