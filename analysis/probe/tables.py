"""What the probe found, as the report writes it."""

from pathlib import Path

import pandas as pd

from analysis.display import Row, Table, Write, interval, number, table
from analysis.probe import numbers
from analysis.probe.numbers import BEST_INTEGER, BEST_K, CEILING, INDEPENDENT, NORM, PART, SCALED, SHARE, SHARE_SINGLE
from analysis.store import EPOCH, B
from src import schema
from src.variance.cost import LEAST_LEVELS
from src.writing import NONE, percent, render, significant

HERE = Path(__file__).parent
PARTS = {"loss": "loss", "encoder": "encoder's gradient", "decoder": "decoder's gradient", "all": "whole gradient"}
# All parts in the order of a table, layers without their number.
ORDER = (*PARTS, "encoder_", "q_mean", "q_log_var", "decoder_", "output", "log_var")


def probe_tables(points: pd.DataFrame) -> list[Table]:
    """The last probe of one setting, of components_by_point(): the parts of the model, and its layers."""
    last = numbers.last_probe(points)
    of_model, alone = last[PART].isin(schema.PROBE_PARTS), numbers.single(points)
    costs = points.drop_duplicates(B).dropna(subset=["seconds_fixed"]).sort_values(B).to_dict("records")
    caption = render(HERE / "table.md.j2", single=alone, costs=costs, least_levels=LEAST_LEVELS)
    return [
        probe_table("Where a step's noise comes from, at the last probed epoch", last[of_model], alone, caption),
        probe_table("Noise by layer and head", last[~of_model], alone, "Other epochs are in probe.csv."),
    ]


def probe_table(title: str, points: pd.DataFrame, alone: bool, caption: str) -> Table:
    """Some points of one setting; alone: whether V_mc is that of single draws."""
    columns = {
        "epoch": number(EPOCH, str),
        "part": lambda row: PARTS.get(row[PART], row[PART]),
        "norm": lambda row: NONE if row[PART] == "loss" else row[NORM],
        "unit of V_data and V_mc": unit,
        "seeds n": number("n", str),
        "V_data, between images": lambda row: estimate(row, "var_data"),
        f"V_mc of {'one draw' if alone else 'a set of K'}": lambda row: estimate(row, "var_mc"),
        "Monte Carlo share of a step, this K": lambda row: estimate(row, SHARE, percent),
        "Monte Carlo share of a step at K=1": lambda row: of_draw(row, SHARE_SINGLE, percent),
        f"ceiling 1 + V_mc/V_data{'' if alone else ', against one set'}": lambda row: estimate(row, CEILING),
        "SNR of a step": lambda row: estimate(row, "snr"),
        "B_eq [images]": lambda row: of_draw(row, "b_eq"),
        "K* for least variance × time": best,
    }
    ordered = points.assign(place=points[PART].map(place)).sort_values([EPOCH, "place", NORM])
    return table(title, ordered, columns, caption)


def estimate(row: Row, name: str, write: Write = significant) -> str:
    """A component's mean or a ratio, with its interval over seeds or, where n is 1, one probe's standard error."""
    value, many = row[f"{name}_mean" if f"{name}_mean" in row else name], row["n"] > 1
    if pd.isna(value):
        return "undefined"
    if pd.isna(row[f"{name}_ci_low" if many else f"{name}_sem"]):
        return write(value)
    return write(value) + (f" ({interval(row, f'{name}_', write)})" if many else f" ± {write(row[f'{name}_sem'])}")


def of_draw(row: Row, key: str, write: Write = significant) -> str:
    """A ratio that only the variance of single draws has."""
    return estimate(row, key, write) if row[INDEPENDENT] else NONE


def share(row: Row) -> str:
    """The share of Monte Carlo noise at one draw, or at one set."""
    return estimate(row, SHARE_SINGLE if row[INDEPENDENT] else SHARE, percent)


def best(row: Row) -> str:
    """K*, and the best whole K where it has one."""
    if pd.isna(row[BEST_INTEGER]):
        return significant(row[BEST_K])
    return f"{estimate(row, BEST_K)}, so {row[BEST_INTEGER]:.0f}"


def unit(row: Row) -> str:
    """The unit of a part's variances."""
    if row[PART] == "loss":
        return schema.LOSS_UNIT
    return schema.SCALED_UNIT if row[NORM] == SCALED else schema.TRACE_UNIT


def place(part: str) -> tuple[int, int, str]:
    """Where a part stands in a table."""
    return ORDER.index(part.rstrip("0123456789")), len(part), part


def findings(points: pd.DataFrame) -> list[str]:
    """A paragraph per B: what is Monte Carlo noise at the last probe of the smallest K, and what a larger one does."""
    said = []
    for _, group in numbers.smallest(numbers.last_probe(points)).groupby(B):
        found = {norm: {row[PART]: row for row in rows.to_dict("records")} for norm, rows in group.groupby(NORM)}
        said.append(render(HERE / "findings.md.j2", found=found, estimate=estimate, share=share))
    return said
