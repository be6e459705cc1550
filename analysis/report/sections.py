"""What the report says and shows: of all runs, and of each setting."""

import io
from typing import NamedTuple

import pandas as pd

from analysis import curves, probe, stability, store, style
from analysis.display import Table
from analysis.report.findings import Findings
from analysis.statistics import COUNTED, SETTING, completeness, finished
from analysis.store import SEED, STATUSES, B, K
from analysis.style import Picture
from src import schema


class Section(NamedTuple):
    """One setting. drawings: each picture with its files by their suffix. absent: what could not be shown, and why."""

    heading: str
    kind: str
    answers: list[str]
    tables: list[Table]
    drawings: list[tuple[Picture, dict[str, bytes]]]
    absent: list[str]
    details: list[Table]


def draw(findings: Findings) -> list[Section]:
    """The sections of all settings, with their figures drawn."""
    return [section(findings.of(setting)) for setting in findings.settings]


def section(found: Findings) -> Section:
    """The section of a setting, from its findings."""
    runs, points = found.runs, found.points
    images = store.reconstructions(found.question.uri, finished(runs))
    kind, data = completeness.nll_kind(runs), heading(runs, found.varying)
    pictures = [
        *curves.pictures(runs, found.history, found.cells, images, kind, data),
        *probe.pictures(points, found.observed, data),
    ]
    return Section(
        heading=data,
        kind=kind,
        answers=[
            *curves.nll_sentences(found.cells, found.gains, kind),
            *stability.threshold_sentences(found.stability, kind),
            *probe.noise_sentences(points),
        ],
        tables=[
            curves.cell_table(found.cells, kind),
            curves.gain_table(found.gains, kind),
            stability.stability_table(found.stability, probe.step_noise(points), kind),
            stability.threshold_table(found.stability, kind, found.question.threshold is not None),
            probe.probe_table(probe.last_probe(points), probe.caption(points)),
        ],
        drawings=[(picture, drawn(picture)) for picture in pictures if len(picture.table)],
        absent=[
            *(f"{p.stem}: no finished run recorded what it shows." for p in pictures if p.table.empty),
            *without_image(runs, images),
            *curves.pairs_note(runs),
            *probe.left_out(found.history, runs),
        ],
        details=[probe.probe_table(points, "The probe at every epoch"), run_table(runs), parameter_table(runs)],
    )


def drawn(picture: Picture) -> dict[str, bytes]:
    """A picture drawn, as PNG and SVG. Without the date the same runs give the same bytes."""
    png, svg = io.BytesIO(), io.BytesIO()
    with style.applied():
        figure = picture.draw()
        figure.savefig(png, format="png")
        # The layout has been computed; computing it again takes as long as drawing.
        figure.set_layout_engine("none")
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return {"png": png.getvalue(), "svg": svg.getvalue()}


def without_image(runs: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """The K whose picture of reconstructions is missing where others have one."""
    without = ", ".join(str(k) for k in sorted(set(finished(runs)[K]) - set(images[K])))
    return [f"reconstructions at K = {without}: the artifact is missing."] if without and len(images) else []


def heading(runs: pd.DataFrame, varying: list[str]) -> str:
    """The data of a setting, and in what it differs from the other settings of the report."""
    first = runs.iloc[0]
    data = f"{first.get('data.name', 'data not recorded')}, {first.get('data.pixels', 'unrecorded')} pixels"
    others = [p for p in varying if p not in (schema.NLL_KIND, "data.name", "data.pixels")]
    return "; ".join([data, *(f"{p} = {'none' if pd.isna(first[p]) else first[p]}" for p in others)])


def parameter_table(runs: pd.DataFrame) -> Table:
    """The parameters that all runs of a setting share."""
    shared = runs.iloc[0][completeness.setting_params(runs)].dropna().astype(str)
    return Table(
        "Parameters shared by every run", ["parameter", "value"], [[str(name), value] for name, value in shared.items()]
    )


def run_table(runs: pd.DataFrame) -> Table:
    """The run behind every seed of every cell."""
    return _text("Run ids behind each cell", runs, ["start_time"], ["status", "run_id", "run_name"])


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    return _text("Runs that are in no mean", completeness.lost(runs), ["run_id"], ["why", "run_id"])


def _text(caption: str, rows: pd.DataFrame, order: list[str], columns: list[str]) -> Table:
    """The named columns after the setting, B, K and seed, as text."""
    shown = rows.sort_values([SETTING, B, K, SEED, *order])[[SETTING, B, K, SEED, *columns]].fillna("–").astype(str)
    heads = [SETTING, "B", "K", SEED, *(name.replace("_", " ") for name in columns)]
    return Table(caption, heads, shown.to_numpy().tolist())


def totals(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of them."""
    counted = runs[runs[COUNTED]]
    by_status = ", ".join(f"{(counted['status'] == status).sum()} {status}" for status in STATUSES)
    return (
        f"{len(runs)} runs recorded: {len(counted)} count, {len(runs) - len(counted)} are repeats of the same cell and "
        f"seed and are set aside. Of those that count: {by_status}. Implied by the grids and never started: "
        f"{len(completeness.missing(runs))}."
    )
