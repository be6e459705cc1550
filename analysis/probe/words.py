"""What the probe found, as the report writes it."""

from collections.abc import Callable, Hashable
from typing import Any

import pandas as pd

from analysis.display import NONE, Table, counted, decimals, interval, percent, significant, table
from analysis.probe import numbers
from analysis.probe.numbers import INDEPENDENT, PART, last_probe
from analysis.store import EPOCH, B, K
from src import schema

PARTS = {"loss": "loss", "encoder": "encoder's gradient", "decoder": "decoder's gradient", "all": "whole gradient"}
UNDEFINED = "undefined"


def single(points: pd.DataFrame) -> bool:
    """Whether V_mc is of one draw. Else it is of a set of K: draws are not independent, or the bound is no mean."""
    return bool(points[INDEPENDENT].all())


def defined(value: float, write: Callable[[float], str] = significant) -> str:
    """A ratio, or that it is not defined."""
    return UNDEFINED if pd.isna(value) else write(value)


def estimate(point: dict[Hashable, Any], name: str) -> str:
    """A component's mean with its interval over seeds, or with one probe's standard error where n = 1."""
    mean = defined(point[f"{name}_mean"])
    if point["n"] > 1:
        return f"{mean} ({interval(point[f'{name}_ci_low'], point[f'{name}_ci_high'], significant)})"
    return f"{mean} ± {significant(point[f'{name}_sem'])}"


def row(point: dict[Hashable, Any]) -> dict[str, str]:
    """A point in the table."""
    of_set = not point[INDEPENDENT]
    best = NONE if pd.isna(point[numbers.BEST_K.key]) else significant(point[numbers.BEST_K.key])
    integer = point[numbers.BEST_INTEGER]
    return {
        "B": str(point[B]),
        "K": str(point[K]),
        "epoch": str(point[EPOCH]),
        "part": PARTS[point[PART]],
        "unit of V_data and V_mc": schema.PROBE_UNITS[point[PART]],
        "seeds n": str(point["n"]),
        "V_data, between images": estimate(point, "var_data"),
        f"V_mc of {'a set of K' if of_set else 'one draw'}": estimate(point, "var_mc"),
        "Monte Carlo share of a step, this K": defined(point[numbers.SHARE.key], percent),
        "the same at K = 1": NONE if of_set else defined(point[numbers.SHARE_SINGLE.key], percent),
        f"ceiling 1 + V_mc/V_data{', against one set' if of_set else ''}": defined(point[numbers.CEILING.key]),
        "SNR of a step": defined(point["snr"]),
        "B_eq [images]": NONE if of_set else defined(point["b_eq"]),
        "K* for least variance × time": best if pd.isna(integer) else f"{best}, so {integer:.0f}",
    }


def probe_table(points: pd.DataFrame, caption: str) -> Table:
    """components_by_point() of one setting."""
    order = {part: place for place, part in enumerate(PARTS)}
    ordered = points.assign(place=points[PART].map(order)).sort_values([B, K, EPOCH, "place"])
    return table(caption, map(row, ordered.to_dict("records")))


def caption(points: pd.DataFrame) -> str:
    """What the columns of the table of the last probe are, and the costs that K* takes."""
    form = "(V_data + V_mc/K)/B" if single(points) else "(V_data + V_mc)/B"
    return (
        "Where a step's noise comes from, at the weights of the last probed epoch: V_data is the variance between "
        f"images, V_mc that of {'one draw' if single(points) else 'a whole set of K draws'}, for gradients summed over "
        f"the parameters; a step's variance is {form}. Means over seeds with 95 % t-intervals; at one seed ± the "
        "standard error over images and draws, which further seeds do not lessen, as all probe the same images. Ratios "
        f"are of means; undefined where a variance is estimated below zero. {cost_note(points)}"
    )


def cost_note(points: pd.DataFrame) -> str:
    """The cost lines that K* takes, or why there is no K*."""
    if not single(points):
        return "B_eq and K* are left out: the variance of a single draw was not measured."
    lines = points.drop_duplicates(B).sort_values(B).to_dict("records")
    fits = [
        f"{decimals(point['seconds_fixed'])} + {decimals(point['seconds_per_draw'], 3)} K at B = {point[B]}"
        for point in lines
        if not pd.isna(point["seconds_fixed"])
    ]
    if not fits:
        return "B_eq is the batch at which K = 1 is as quiet. K* needs seconds per epoch at three K or more of one B."
    return (
        "B_eq is the batch at which K = 1 is as quiet. "
        f"K* takes the seconds per epoch as a line in K, by least squares: {'; '.join(fits)}. It is about the quiet of "
        "steps per second of training, which is not the same as reaching a likelihood soonest."
    )


def noise_sentences(points: pd.DataFrame) -> list[str]:
    """A sentence per B: the share of Monte Carlo noise in a gradient at the smallest K, and its ceiling."""
    sentences = []
    for batch_size, group in last_probe(points).groupby(B):
        cell = group[group[K] == group[K].min()].set_index(PART).to_dict("index")
        parts = [part for part in ("encoder", "decoder") if part in cell]
        if parts:
            point = cell[parts[0]]
            what = (
                "K = 1 gradient" if point[INDEPENDENT] or point[K] == 1 else f"gradient from a set of {point[K]} draws"
            )
            seeds = f"{counted(point['n'], 'seed')} trained at K = {point[K]}"
            text = " and ".join(finding(part, cell[part], first=part == parts[0]) for part in parts)
            sentences.append(
                f"B = {batch_size}, probe at epoch {point[EPOCH]} ({seeds}): of the variance of a {what}, Monte Carlo "
                f"noise is {text}."
            )
    return sentences


def finding(part: str, point: dict[Hashable, Any], first: bool) -> str:
    """The share at one part, its ceiling, and the K of least variance times time where that is known."""
    alone, limit, best = point[INDEPENDENT], point[numbers.CEILING.key], point[numbers.BEST_INTEGER]
    share = defined(point[numbers.SHARE_SINGLE.key if alone else numbers.SHARE.key], percent)
    cannot = f"no {'K' if alone else 'number of such gradients'} can reduce that variance by more than a factor"
    text = f"{share} at the {part} ({cannot if first else 'at most a factor'} {defined(limit)}"
    return text + (")" if pd.isna(best) else f"; least variance × time at K = {best:.0f})")


def left_out(history: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """The probes of a setting's runs that are not shown, where there are any."""
    n = numbers.runs_left_out(history, runs)
    if not n:
        return []
    return [
        f"probes of {counted(n, 'run')}: recorded without {schema.PROBE_SET_SIZE.key}, by a version before that "
        "metric, so it is not known of how many draws V_mc is."
    ]
