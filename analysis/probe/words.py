"""What the probe found, as the report writes it."""

import pandas as pd

from analysis.display import Row, Table, Write, ends, interval, number, table
from analysis.probe import numbers
from analysis.probe.numbers import (
    BEST_INTEGER,
    CEILING,
    INDEPENDENT,
    NORM,
    OBSERVATION,
    PART,
    SCALED,
    SHARE,
    SHARE_SINGLE,
    TRACE,
)
from analysis.store import EPOCH, B, K
from src import schema
from src.variance.cost import LEAST_LEVELS
from src.writing import decimals, percent, plural, significant

PARTS = {"loss": "loss", "encoder": "encoder's gradient", "decoder": "decoder's gradient", "all": "whole gradient"}
# All parts in the order of a table, layers without their number.
ORDER = (*PARTS, "encoder_", "q_mean", "q_log_var", "decoder_", "output", "log_var")
NORMS = {
    TRACE: "by the trace, in which every weight counts the same",
    SCALED: "in the optimizer's metric, in which a weight counts by 1 over its gradient's second moment",
}
TABLE = (
    "Where a step's noise comes from, at the last probed epoch: V_data is the variance between images, V_mc that of "
    "{set}; a step's variance is {step}. Means over seeds with 95 % t-intervals, at one seed ± the standard error over "
    "images and draws; ratios of means, undefined where a variance is estimated below zero. Gradients once "
    f"{NORMS[SCALED]}, as the optimizer divides by its root, and once {NORMS[TRACE]}: the two shares differ. "
)
NO_BATCH = "B_eq and K* are left out: the variance of a single draw was not measured."
NO_COST = f"K* needs seconds per epoch at {LEAST_LEVELS} K or more of one B."
COST = "K* takes the seconds per epoch as a line in K, by relative least squares; its interval has their error: {}."


def single(points: pd.DataFrame) -> bool:
    """Whether V_mc is of one draw. Else it is of a set of K: draws are not independent, or the bound is no mean."""
    return bool(points[INDEPENDENT].all())


def defined(value: float, write: Write = significant) -> str:
    """A ratio, or that it is not defined."""
    return "undefined" if pd.isna(value) else write(value)


def estimate(row: Row, name: str, write: Write = significant) -> str:
    """A component's mean or a ratio, with its interval over seeds or, where n = 1, one probe's standard error."""
    value, many = row[f"{name}_mean" if f"{name}_mean" in row else name], row["n"] > 1
    if pd.isna(row[f"{name}_ci_low" if many else f"{name}_sem"]):
        return defined(value, write)
    return write(value) + (f" ({interval(row, f'{name}_', write)})" if many else f" ± {write(row[f'{name}_sem'])}")


def best(row: Row) -> str:
    """K*, and the best whole K where it has one."""
    if pd.isna(row[BEST_INTEGER]):
        return significant(row[numbers.BEST_K])
    return f"{estimate(row, numbers.BEST_K)}, so {row[BEST_INTEGER]:.0f}"


def of_draw(row: Row, key: str, write: Write = significant) -> str:
    """A ratio that only the variance of single draws has."""
    return estimate(row, key, write) if row[INDEPENDENT] else "–"


def unit(part: str, norm: str) -> str:
    """The unit of a part's variances."""
    return schema.LOSS_UNIT if part == "loss" else schema.SCALED_UNIT if norm == SCALED else schema.TRACE_UNIT


def place(part: str) -> tuple[int, int, str]:
    """Where a part stands in a table."""
    return ORDER.index(part.rstrip("0123456789")), len(part), part


def probe_table(points: pd.DataFrame, caption: str) -> Table:
    """components_by_point() of one setting."""
    alone = single(points)
    columns = {
        "epoch": number(EPOCH, str),
        "part": lambda row: PARTS.get(row[PART], row[PART]),
        "norm": lambda row: "–" if row[PART] == "loss" else row[NORM],
        "unit of V_data and V_mc": lambda row: unit(row[PART], row[NORM]),
        "seeds n": number("n", str),
        "V_data, between images": lambda row: estimate(row, "var_data"),
        f"V_mc of {'one draw' if alone else 'a set of K'}": lambda row: estimate(row, "var_mc"),
        "Monte Carlo share of a step, this K": lambda row: estimate(row, SHARE, percent),
        "the same at K = 1": lambda row: of_draw(row, SHARE_SINGLE, percent),
        f"ceiling 1 + V_mc/V_data{'' if alone else ', against one set'}": lambda row: estimate(row, CEILING),
        "SNR of a step": lambda row: estimate(row, "snr"),
        "B_eq [images]": lambda row: of_draw(row, "b_eq"),
        "K* for least variance × time": best,
    }
    order = {part: at for at, part in enumerate(sorted(set(points[PART]), key=place))}
    return table(caption, points.assign(order=points[PART].map(order)).sort_values([EPOCH, "order", NORM]), columns)


def caption(points: pd.DataFrame) -> str:
    """What the columns of the table of the last probe are, and the costs that K* takes."""
    if not single(points):
        return TABLE.format(set="a whole set of K draws", step="(V_data + V_mc)/B") + NO_BATCH
    lines = points.drop_duplicates(B).dropna(subset=["seconds_fixed"]).sort_values(B)
    costs = zip(lines["seconds_fixed"], lines["seconds_per_draw"], lines[B], strict=True)
    fits = [f"{decimals(fixed)} + {decimals(draw, 3)} K at B = {batch_size}" for fixed, draw, batch_size in costs]
    cost = COST.format("; ".join(fits)) if fits else NO_COST
    return TABLE.format(set="one draw", step="(V_data + V_mc/K)/B") + cost


def noise_sentences(points: pd.DataFrame) -> list[str]:
    """A sentence per B: the share of Monte Carlo noise in a gradient at the smallest K, and its ceiling."""
    last, shown = numbers.last_probe(points), numbers.headline(numbers.last_probe(points))
    traces = dict(list(last[last[NORM] == TRACE].set_index(PART).groupby(B)))
    encoder, decoder = (ends(shown[shown[PART] == part]) for part in ("encoder", "decoder"))
    sentences = []
    for (batch_size, one, _), (_, other, _) in zip(encoder, decoder, strict=True):
        alone, k = one[INDEPENDENT], one[K]
        what = "K = 1 gradient" if alone or k == 1 else f"gradient from a set of {k} draws"
        cannot = f"no {'K' if alone else 'number of such gradients'} can reduce that variance by more than a factor"
        sentences.append(
            f"B = {batch_size}, probe at epoch {one[EPOCH]} ({plural(one['n'], 'seed')} trained at K = {k}): of "
            f"the variance of a {what} {NORMS[one[NORM]]}, Monte Carlo noise is {finding(one, cannot)} and "
            f"{finding(other, 'at most a factor')}.{otherwise(one, traces[batch_size])}"
        )
    return sentences


def otherwise(one: Row, traces: pd.DataFrame) -> str:
    """What the trace says of both parts, where the sentence is in the optimizer's metric."""
    same = traces[traces[K] == one[K]]
    encoder, decoder = (noise_share(same.loc[part].to_dict()) for part in ("encoder", "decoder"))
    return f" The trace says {encoder} and {decoder}." if one[NORM] == SCALED else ""


def noise_share(row: Row) -> str:
    """The share of Monte Carlo noise at one draw, or at one set."""
    return estimate(row, SHARE_SINGLE if row[INDEPENDENT] else SHARE, percent)


def finding(row: Row, limit: str) -> str:
    """The share at one part, its ceiling, and the K of least variance times time where that is known."""
    text = f"{noise_share(row)} at the {row[PART]} ({limit} {estimate(row, CEILING)}"
    return text + (")" if pd.isna(row[BEST_INTEGER]) else f"; least variance × time at K = {row[BEST_INTEGER]:.0f})")


def left_out(history: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """The probes of a setting's runs that are not shown, where there are any."""
    rows = numbers.probed(history, runs)
    n = rows.loc[rows[list(OBSERVATION)].isna().any(axis=1), "run_id"].nunique()
    key = schema.PROBE_SET_SIZE.key
    return [f"probes of {plural(n, 'run')}: recorded without {key}, by a version before that metric."] if n else []
