"""What the probe found, as the report writes it."""

from collections.abc import Hashable
from typing import Any

import pandas as pd

from analysis import probes
from analysis.display import NONE, Table, decimals, interval, percent, significant, table
from analysis.probes import EPOCH, INDEPENDENT, PART, B, K

PARTS = {"loss": "loss", "encoder": "encoder's gradient", "decoder": "decoder's gradient", "all": "whole gradient"}
UNDEFINED = "undefined"


def single(points: pd.DataFrame) -> bool:
    """Whether V_mc is of one draw; else of a whole set of K, as draws are not independent or the bound is no mean."""
    return bool(points[INDEPENDENT].all())


def defined(value: float, write: Any = significant) -> str:
    """A ratio, or that it is not defined."""
    return UNDEFINED if pd.isna(value) else write(value)


def estimate(point: dict[Hashable, Any], name: str) -> str:
    """A component's mean with its interval over seeds, or with one probe's standard error where n = 1."""
    mean = defined(point[f"{name}_mean"])
    if point["n"] > 1:
        return f"{mean} ({interval(point[f'{name}_ci_low'], point[f'{name}_ci_high'], significant)})"
    return f"{mean} ± {significant(point[f'{name}_sem'])}"


def row(point: dict[Hashable, Any]) -> dict[str, str]:
    of_set = not point[INDEPENDENT]
    best = NONE if pd.isna(point[probes.BEST_K.key]) else significant(point[probes.BEST_K.key])
    integer = point[probes.BEST_INTEGER]
    return {
        "B": str(point[B]),
        "K": str(point[K]),
        "epoch": str(point[EPOCH]),
        "part": PARTS[point[PART]],
        "seeds n": str(point["n"]),
        "V_data, between images [nats^2]": estimate(point, "var_data"),
        f"V_mc of {'a set of K' if of_set else 'one draw'} [nats^2]": estimate(point, "var_mc"),
        "Monte Carlo share of a step, this K": defined(point[probes.SHARE.key], percent),
        "the same at K = 1": NONE if of_set else defined(point[probes.SHARE_SINGLE.key], percent),
        f"ceiling 1 + V_mc/V_data{', against one set' if of_set else ''}": defined(point[probes.CEILING.key]),
        "SNR of a step": defined(point["snr"]),
        "B_eq [images]": NONE if of_set else defined(point["b_eq"]),
        "K* for least variance × time": best if pd.isna(integer) else f"{best}, so {integer:.0f}",
    }


def probe_table(points: pd.DataFrame, caption: str) -> Table:
    """probes.summary of one setting."""
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
    """The line behind K*, or why there is none."""
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


def answers(points: pd.DataFrame) -> list[str]:
    """A sentence per B: the share of Monte Carlo noise in a gradient at the smallest K, and what no K can beat."""
    sentences = []
    for batch_size, group in probes.last(points).groupby(B):
        cell = group[group[K] == group[K].min()].set_index(PART).to_dict("index")
        parts = [part for part in ("encoder", "decoder") if part in cell]
        if parts:
            point = cell[parts[0]]
            what = (
                "K = 1 gradient" if point[INDEPENDENT] or point[K] == 1 else f"gradient from a set of {point[K]} draws"
            )
            seeds = f"{point['n']} {'seed' if point['n'] == 1 else 'seeds'} trained at K = {point[K]}"
            text = " and ".join(finding(part, cell[part], first=part == parts[0]) for part in parts)
            sentences.append(
                f"B = {batch_size}, probe at epoch {point[EPOCH]} ({seeds}): of the variance of a {what}, Monte Carlo "
                f"noise is {text}."
            )
    return sentences


def finding(part: str, point: dict[Hashable, Any], first: bool) -> str:
    """The share at one part, its ceiling, and the K that is quietest for its time where that is known."""
    alone, limit, best = point[INDEPENDENT], point[probes.CEILING.key], point[probes.BEST_INTEGER]
    share = defined(point[probes.SHARE_SINGLE.key if alone else probes.SHARE.key], percent)
    cannot = f"no {'K' if alone else 'number of such gradients'} can reduce that variance by more than a factor"
    text = f"{share} at the {part} ({cannot if first else 'at most a factor'} {defined(limit)}"
    return text + (")" if pd.isna(best) else f"; least variance × time at K = {best:.0f})")
