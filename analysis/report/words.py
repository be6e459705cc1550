"""What the report says of the runs themselves: their settings, and which of them are in no mean."""

import pandas as pd

from analysis.display import NONE, Table, table
from analysis.statistics import COUNTED, SETTING, completeness
from analysis.store import SEED, STATUSES, B, K
from src import schema


def heading(runs: pd.DataFrame, varying: list[str]) -> str:
    """The data of a setting, and in what it differs from the other settings of the report."""
    first = runs.iloc[0]
    data = f"{first.get('data.name', 'data not recorded')}, {first.get('data.pixels', 'unrecorded')} pixels"
    others = [p for p in varying if p not in (schema.NLL_KIND, "data.name", "data.pixels")]
    return "; ".join([data, *(f"{p} = {'none' if pd.isna(first[p]) else first[p]}" for p in others)])


def parameter_table(runs: pd.DataFrame) -> Table:
    """The parameters that all runs of a setting share."""
    first = runs.iloc[0]
    shared = [p for p in completeness.setting_params(runs) if pd.notna(first[p])]
    return table("Parameters shared by every run", ({"parameter": p, "value": str(first[p])} for p in shared))


def run_table(runs: pd.DataFrame) -> Table:
    """The run behind every seed of every cell."""
    ordered = runs.sort_values([B, K, SEED, "start_time"])
    return _text("Run ids behind each cell", ordered, ["status", "run_id", "run_name"])


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    lost = completeness.lost(runs)
    lost["run_id"] = lost["run_id"].fillna(NONE)
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
        f"{len(completeness.missing(runs))}."
    )
