"""The runs behind a report: what became of each, which are in no mean and why, and what repeats them."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.display import Table
from analysis.picture import HUE, PANEL, TILES, Picture, X, labels
from analysis.statistics import COUNTED, SETTING, completeness
from analysis.store import RUN, SEED, STATUSES, TAG_PREFIX, B, K
from src import schema
from src.writing import NONE, label, render, short

HERE = Path(__file__).parent
MISSING = "never started"
COLOURS = {
    schema.FINISHED: "#8fbfae", schema.DIVERGED: "#b3261e", schema.FAILED: "#e08a3c", schema.KILLED: "#8f6bb3",
    schema.RUNNING: "#6fa8d6", STATUSES[-1]: "#9aa3aa", MISSING: "#e3e7ea",
}  # fmt: skip


def status_picture(runs: pd.DataFrame) -> Picture:
    """The status of every cell and seed of marked runs, those that were never started too: a panel per setting and B.

    Repeats are left out.
    """
    counted = runs[runs[COUNTED]].rename(columns={"status": HUE})
    absent = completeness.missing(runs).assign(**{HUE: MISSING, "run_id": ""})
    table = pd.concat([counted[[SETTING, *RUN, HUE, "run_id"]], absent]).sort_values([SETTING, B, K, SEED])
    panels = labels(table[B])
    if table[SETTING].nunique() > 1:
        panels = [f"setting {setting}, {panel}" for setting, panel in zip(table[SETTING], panels, strict=True)]
    table = table.assign(**{PANEL: panels}).rename(columns={K: X, SEED: "mean"}).drop(columns=SETTING)
    colours = {status: colour for status, colour in COLOURS.items() if status in set(table[HUE])}
    tips = {X: "K", B: "B", "mean": "seed", HUE: "status", "run_id": "run"}
    title, caption = "What became of every cell and seed", render(HERE / "status.md.j2")
    return Picture(
        "completeness", title, caption, table, schema.MC_SAMPLES.label, "seed", colours, TILES, tips=tips
    )  # fmt: skip


def totals(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of them."""
    counted = runs[runs[COUNTED]]
    statuses = {status: (counted["status"] == status).sum() for status in STATUSES}
    numbers = {"recorded": len(runs), "repeats": len(runs) - len(counted), "absent": len(completeness.missing(runs))}
    return render(HERE / "totals.md.j2", **numbers, statuses=statuses)


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    return text("Runs that are in no mean", completeness.lost(runs), ["run_id"], ["why", "run_id"])


def run_table(runs: pd.DataFrame, varying: Sequence[str]) -> Table:
    """Every run of a setting with its id and what repeats it."""
    caption = render(HERE / "runs.md.j2", commands=[*dict.fromkeys(commands(runs, varying).values())], own=RUN)
    return text("Run ids behind each cell", runs, ["start_time"], ["status", "run_id"], caption)


def text(title: str, rows: pd.DataFrame, order: list[str], columns: list[str], caption: str = "") -> Table:
    """The named columns after the setting, B, K and seed, as text."""
    first = [SETTING, B, K, SEED]
    shown = rows.sort_values([*first, *order])[[*first, *columns]].fillna(NONE).astype(str)
    heads = [short(str(name)).replace("_", " ") for name in shown]
    return Table(title, heads, shown.to_numpy().tolist(), caption)


def parameter_table(runs: pd.DataFrame) -> Table:
    """The parameters that all runs of a setting share."""
    names = [name for name in completeness.setting_params(runs) if runs[name].nunique(dropna=False) == 1]
    shared = runs.iloc[0][names].dropna().astype(str).reset_index()
    return Table("Parameters that all runs share", ["parameter", "value"], shared.to_numpy().tolist())


def heading(runs: pd.DataFrame, varying: list[str]) -> str:
    """The data of a setting, and in what it differs from the other settings of the report."""
    first = runs.iloc[0]
    data = f"{first.get('data.name', 'data not recorded')}, {first.get('data.pixels', 'unrecorded')} pixels"
    others = [p for p in varying if p not in (schema.NLL_KIND, "data.name", "data.pixels")]
    return "; ".join([data, *(label(p, "none" if pd.isna(first[p]) else first[p]) for p in others)])


def commands(runs: pd.DataFrame, varying: Sequence[str]) -> dict[str, str]:
    """By run id the command that repeats it, but for K, B and seed: its grid's overrides with the run's own values.

    varying: of Findings. A study's file may sweep these, too.
    """
    swept = [key for key in varying if key != schema.NLL_KIND and not key.startswith(TAG_PREFIX)]
    return {run["run_id"]: command(run, swept) for run in runs.to_dict("records")}


def command(run: Mapping[Any, Any], swept: Sequence[str]) -> str:
    """That of one run; swept: the settings in which runs differ."""
    grid = run["parent_name"].split() if isinstance(run["parent_name"], str) else []
    given = dict(item.split("=", 1) for item in grid if "=" in item and not item.startswith(("study.", "hydra")))
    # Of a group such as data=mnist,fashion_mnist the run has the name.
    own = {key: next((run[name] for name in (key, f"{key}.name") if pd.notna(run.get(name))), text)
           for key, text in given.items()}  # fmt: skip
    own |= {key: run[key] for key in swept if key.partition(".")[0] not in given and pd.notna(run[key])}
    if "+sweep" in given:
        own["study.until"] = "null"  # a study may decide, for which one cell is too few
    return " ".join(["python -m src.train", *(shlex.quote(f"{key}={own[key]}") for key in own if key not in RUN)])
