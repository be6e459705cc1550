"""Stability and time to the threshold, as the report writes them."""

from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd

from analysis.display import Table, counted, decimals, interval, labelled, percent, significant, spread, table, whole
from analysis.stability import numbers, threshold
from analysis.store import B, K
from src import schema
from src.schema import Quantity

ACTIVE = schema.FINAL_ACTIVE_UNITS
SD = f"{schema.FINAL_TEST_NLL.key}_sd"


def over_seeds(cell: dict[Hashable, Any], quantity: Quantity, write: Callable[[float], str] = decimals) -> str:
    """A cell's median of a quantity with the lowest and the highest run's."""
    median, lowest, highest = (cell[f"{quantity.key}_{end}"] for end in ("median", "lowest", "highest"))
    return spread(median, lowest, highest, write)


def stability_table(cells: pd.DataFrame, noise: dict[tuple[int, int], float], kind: str) -> Table:
    """stability_by_cell() of one setting.

    Args:
        cells: its rows.
        noise: Monte Carlo sd of a minibatch's loss at the last probe by (B, K), nats/image.
        kind: what the NLL is.
    """
    final = labelled(schema.FINAL_TEST_NLL, kind)

    def row(cell: dict[Hashable, Any]) -> dict[str, str]:
        runs, lost = (0 if pd.isna(cell[name]) else int(cell[name]) for name in ("ended_n", "diverged_n"))
        rate = f" ({interval(cell['diverged_ci_low'], cell['diverged_ci_high'], percent)})" if runs else ""
        sd = f" ({interval(cell[f'{SD}_ci_low'], cell[f'{SD}_ci_high'])})" if cell[f"{SD}_ci_low"] >= 0 else ""
        row = {
            "B": str(cell[B]),
            "K": str(cell[K]),
            "diverged, of the runs that ended (95 % interval)": f"{lost} of {runs}{rate}",
            numbers.WORST_STEP.axis: over_seeds(cell, numbers.WORST_STEP),
            numbers.STEP_TO_STEP.axis: over_seeds(cell, numbers.STEP_TO_STEP),
            numbers.SHARE_WORSE.axis: over_seeds(cell, numbers.SHARE_WORSE, percent),
            numbers.DRAWDOWN.axis: over_seeds(cell, numbers.DRAWDOWN),
            numbers.SPIKES.label: over_seeds(cell, numbers.SPIKES, whole),
            "the same per 1,000 judged steps": over_seeds(cell, numbers.SPIKE_RATE),
            f"{numbers.LOSS_SD.axis}, last epoch": significant(cell[numbers.LOSS_SD.key]),
            "its Monte Carlo part √(V_mc/(B K)), last probe": significant(noise.get((cell[B], cell[K]), float("nan"))),
            f"sd of the {final.label} over seeds [{final.unit}] (95 % interval)": f"{decimals(cell[SD])}{sd}",
            ACTIVE.axis: over_seeds(cell, ACTIVE, whole),
        }
        return row if noise else {head: text for head, text in row.items() if "V_mc" not in head}

    return table(stability_caption(kind), map(row, cells.sort_values([B, K]).to_dict("records")))


def stability_caption(kind: str) -> str:
    """What the columns of the stability table are."""
    test = labelled(schema.TEST_NLL, kind)
    return (
        f"Stability: the path of the {test.label} from epoch to epoch and the losses within epochs. Medians over the "
        "runs that finished or diverged, lowest and highest in brackets; a diverged run's path ends at infinity (∞). "
        "A negative worst step means that every epoch improved. Diverged: stopped as such, or ended with a training "
        "loss above its first epoch's, or at no finite number. A spike is a step's loss above the median of the steps "
        "before it by more than 5 median absolute deviations; about 1 in 1,000 judged steps of quiet normal losses is "
        "one, more in epochs of fewer than 200 steps, so compare within a B. Standard deviations and active units are "
        "of finished runs."
    )


def threshold_table(cells: pd.DataFrame, kind: str, chosen: bool) -> Table:
    """time_to_threshold of one setting; chosen: whether the threshold was chosen by the user."""
    cells = cells[cells[threshold.AT_RISK] > 0].sort_values([B, K])

    def row(cell: dict[Hashable, Any]) -> dict[str, str]:
        row = {"B": str(cell[B]), "K": str(cell[K]), "runs that reached it": arrivals(cell)}
        row |= {f"median {axis.axis}": when(cell[f"{axis.key}_median"], axis) for axis in threshold.AXES}
        return row | {
            f"earliest run, {axis.axis}": written(cell[f"{axis.key}_first"], axis) for axis in threshold.AXES[:2]
        }

    if cells.empty:
        return table("", [])
    test = labelled(schema.TEST_NLL, kind)
    value = decimals(cells[threshold.THRESHOLD.key].iloc[0])
    origin = (
        "set on the command line"
        if chosen
        else "chosen from these runs: the worst cell's median at the last epoch, rounded up, so that at least half of "
        "every cell's finished runs get there"
    )
    caption = (
        f"Time to threshold: training until the {test.label} after an epoch is at most {value} {test.unit}, {origin}. "
        "Medians are Kaplan-Meier's over all runs: one that ended short of it counts as still under way, a diverged "
        "one as never arriving; one that was cut short (failed, killed or still running) was under way until then. "
        "Decoder evaluations are N K per epoch."
    )
    return table(caption, map(row, cells.to_dict("records")))


def arrivals(cell: dict[Hashable, Any], noun: str = "") -> str:
    """How many runs reached the threshold, and how many were not seen long enough to tell."""
    lost = f", {cell[threshold.CUT_SHORT]:.0f} cut short" if cell[threshold.CUT_SHORT] else ""
    return f"{cell[threshold.REACHED]:.0f} of {cell[threshold.AT_RISK]:.0f}{noun}{lost}"


def written(value: float, axis: Quantity) -> str:
    """A length on one of threshold.AXES."""
    return whole(value) if axis is threshold.TO_EPOCHS else significant(value)


def when(value: float, axis: Quantity) -> str:
    """A median length, or that fewer than half arrived."""
    return "not by half" if value == float("inf") else written(value, axis)


def threshold_sentences(cells: pd.DataFrame, kind: str) -> list[str]:
    """A sentence per B: how soon the smallest and the largest K reach the threshold."""
    test = labelled(schema.TEST_NLL, kind)

    def arrival(cell: dict[Hashable, Any]) -> str:
        counts = arrivals(cell, " runs")
        epochs, seconds = (cell[f"{axis.key}_median"] for axis in (threshold.TO_EPOCHS, threshold.TO_SECONDS))
        if epochs == float("inf"):
            return f"at K = {cell[K]} not by half ({counts})"
        return f"at K = {cell[K]} after {counted(int(epochs), 'epoch')} and {significant(seconds)} s ({counts})"

    sentences = []
    for batch_size, group in cells[cells[threshold.AT_RISK] > 0].sort_values(K).groupby(B):
        levels = group.to_dict("records")
        if len(levels) > 1:
            value = decimals(levels[0][threshold.THRESHOLD.key])
            ends = ", ".join(map(arrival, (levels[0], levels[-1])))
            sentences.append(f"B = {batch_size}: a {test.label} of {value} {test.unit} is reached {ends}; medians.")
    return sentences
