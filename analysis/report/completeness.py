"""What a grid has and lacks: every cell and seed by what became of it, and what is in no mean and why."""

import altair as alt
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from analysis import charts, style
from analysis.charts import HUE, PANEL, Chart
from analysis.display import Table
from analysis.statistics import COUNTED, SETTING, completeness
from analysis.store import RUN, SEED, STATUSES, B, K
from analysis.style import Picture
from src import schema

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
    settings = table[SETTING].nunique() > 1
    named = [f"setting {s}, B = {b}" if settings else f"B = {b}" for s, b in zip(table[SETTING], table[B], strict=True)]
    return table.assign(**{PANEL: named}).drop(columns=SETTING)


def picture(runs: pd.DataFrame) -> Picture:
    """The heat map of all runs, a panel per setting and B."""
    table = status_table(runs)
    legend = {status: colour for status, colour in COLOURS.items() if status in set(table[HUE])}
    chart = Chart(lambda: layers(table, legend), list(dict.fromkeys(table[PANEL])), legend)
    return Picture("completeness", table, lambda: plot(table, legend), CAPTION, chart)


def layers(table: pd.DataFrame, legend: dict[str, str]) -> alt.LayerChart:
    """A tile per cell and seed."""
    x = alt.X(f"{K}:O", title=schema.MC_SAMPLES.label, axis=alt.Axis(labelAngle=0))
    tips = {f"{K}:N": "K", f"{B}:N": "B", f"{SEED}:N": "seed", HUE: "status", "run_id:N": "run"}
    tiles = charts.base(table, legend).mark_rect(stroke="white", strokeWidth=1)
    return alt.layer(tiles.encode(x=x, y=alt.Y(f"{SEED}:O", title="seed"), tooltip=charts.tooltip(tips)))


def plot(table: pd.DataFrame, legend: dict[str, str]) -> Figure:
    """A tile per cell and seed."""
    codes = {status: code for code, status in enumerate(legend)}
    names = list(dict.fromkeys(table[PANEL]))
    figure, axes = style.wrapped(names, SEED, "What became of every cell and seed", sharey=False)
    for ax, name in zip(axes, names, strict=True):
        grid = table[table[PANEL] == name].assign(code=lambda rows: rows[HUE].map(codes))
        grid = grid.pivot(index=SEED, columns=K, values="code")
        ax.pcolormesh(
            grid, cmap=ListedColormap(list(legend.values())), vmin=-0.5, vmax=len(codes) - 0.5, edgecolors="w"
        )
        ax.set_xticks([place + 0.5 for place in range(len(grid.columns))], [str(k) for k in grid.columns])
        step = -(-len(grid) // 12)
        ax.set_yticks([place + 0.5 for place in range(0, len(grid), step)], [str(s) for s in grid.index[::step]])
        ax.set_xlabel(schema.MC_SAMPLES.label)
        ax.grid(False)
    figure.legend(
        handles=[style.marker("s", label, colour) for label, colour in legend.items()], loc="outside right upper"
    )
    return figure


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    return text("Runs that are in no mean", completeness.lost(runs), ["run_id"], ["why", "run_id"])


def text(caption: str, rows: pd.DataFrame, order: list[str], columns: list[str]) -> Table:
    """The named columns after the setting, B, K and seed, as text."""
    shown = rows.sort_values([SETTING, B, K, SEED, *order])[[SETTING, B, K, SEED, *columns]].fillna("–").astype(str)
    heads = [SETTING, "B", "K", SEED, *(name.replace("_", " ") for name in columns)]
    return Table(caption, heads, shown.to_numpy().tolist())


def totals(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of them."""
    counted = runs[runs[COUNTED]]
    by_status = ", ".join(f"{(counted['status'] == status).sum()} {status}" for status in STATUSES)
    return (
        f"{len(runs)} runs recorded, of which {len(runs) - len(counted)} repeat a cell and seed and are set aside. Of "
        f"the others: {by_status}. Implied by the grids and never started: {len(completeness.missing(runs))}."
    )
