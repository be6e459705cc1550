"""What a grid has and lacks: every cell and seed by what became of it, and what is in no mean and why."""

from pathlib import Path

import pandas as pd

from analysis.display import Table
from analysis.picture import HUE, PANEL, TILES, Picture, X, labels
from analysis.statistics import COUNTED, SETTING, completeness
from analysis.store import RUN, SEED, STATUSES, B, K
from src import schema
from src.writing import render

MISSING = "never started"
COLOURS = {
    schema.FINISHED: "#8fbfae", schema.DIVERGED: "#b3261e", schema.FAILED: "#e08a3c", schema.KILLED: "#8f6bb3",
    schema.RUNNING: "#6fa8d6", STATUSES[-1]: "#9aa3aa", MISSING: "#e3e7ea",
}  # fmt: skip
CAPTION = (
    "Completeness: what became of every seed of every cell; repeats are left out. Means are of finished runs only."
)


def status_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Every cell and seed of marked runs with its panel, status and run id, those that were never started too."""
    counted = runs[runs[COUNTED]].rename(columns={"status": HUE})
    absent = completeness.missing(runs).assign(**{HUE: MISSING, "run_id": ""})
    table = pd.concat([counted[[SETTING, *RUN, HUE, "run_id"]], absent]).sort_values([SETTING, B, K, SEED])
    batches = labels(table[B])
    of_settings = [f"setting {setting}, {batch}" for setting, batch in zip(table[SETTING], batches, strict=True)]
    named = of_settings if table[SETTING].nunique() > 1 else batches
    return table.assign(**{PANEL: named}).drop(columns=SETTING)


def picture(runs: pd.DataFrame) -> Picture:
    """The heat map of all runs, a panel per setting and B."""
    table = status_table(runs).rename(columns={K: X, SEED: "mean"})
    colours = {status: colour for status, colour in COLOURS.items() if status in set(table[HUE])}
    tips = {X: "K", B: "B", "mean": "seed", HUE: "status", "run_id": "run"}
    title, x = "What became of every cell and seed", schema.MC_SAMPLES.label
    return Picture("completeness", title, CAPTION, table, x, "seed", colours, TILES, tips=tips)


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    return text("Runs that are in no mean", completeness.lost(runs), ["run_id"], ["why", "run_id"])


def text(title: str, rows: pd.DataFrame, order: list[str], columns: list[str], caption: str = "") -> Table:
    """The named columns after the setting, B, K and seed, as text."""
    shown = rows.sort_values([SETTING, B, K, SEED, *order])[[SETTING, B, K, SEED, *columns]].fillna("–").astype(str)
    heads = [SETTING, "B", "K", SEED, *(name.replace("_", " ") for name in columns)]
    return Table(title, heads, shown.to_numpy().tolist(), caption)


def totals(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of them."""
    counted = runs[runs[COUNTED]]
    statuses = {status: (counted["status"] == status).sum() for status in STATUSES}
    numbers = {"recorded": len(runs), "repeats": len(runs) - len(counted), "absent": len(completeness.missing(runs))}
    return render(Path(__file__).with_name("totals.md.j2"), **numbers, statuses=statuses)
