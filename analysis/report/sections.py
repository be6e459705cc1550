"""What the report says and shows of each setting."""

import io
from typing import NamedTuple

import pandas as pd

from analysis import curves, probe, stability, style
from analysis.display import Table
from analysis.report.findings import Findings
from analysis.report.words import heading, parameter_table, run_table
from analysis.statistics import completeness, finished
from analysis.store import K
from analysis.style import Picture


class Drawing(NamedTuple):
    """A drawn figure: the stem of its file names, its caption, and the contents of its files."""

    stem: str
    caption: str
    png: bytes
    svg: bytes


class Section(NamedTuple):
    """One setting of the report. absent: what could not be shown, and why."""

    heading: str
    kind: str
    answers: list[str]
    tables: list[Table]
    drawings: list[Drawing]
    absent: list[str]
    details: list[Table]


def draw(findings: Findings) -> list[Section]:
    """The sections of all settings, with their figures drawn."""
    return [section(findings.of(setting), setting) for setting in findings.settings]


def section(found: Findings, setting: int) -> Section:
    """The section of a setting, from its findings."""
    runs, points, images = found.runs, found.points, found.images[setting]
    kind, data = completeness.nll_kind(runs), heading(runs, found.varying)
    pictures = [
        *curves.pictures(runs, found.history, found.cells, images, kind, data),
        *probe.pictures(points, found.observed, data),
    ]
    every_probe = [probe.probe_table(points, "The probe at every epoch")] if len(points) else []
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
        drawings=[drawn(picture) for picture in pictures if len(picture.table)],
        absent=[
            *(f"{p.stem}: no finished run recorded what it shows." for p in pictures if p.table.empty),
            *without_image(runs, images),
            *curves.pairs_note(runs),
            *probe.left_out(found.history, runs),
        ],
        details=[*every_probe, run_table(runs), parameter_table(runs)],
    )


def without_image(runs: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """The K whose picture of reconstructions is missing where others have one."""
    without = sorted(set(finished(runs)[K]) - set(images[K]))
    if not without or images.empty:
        return []
    return [f"reconstructions at K = {', '.join(map(str, without))}: the artifact is missing."]


def drawn(picture: Picture) -> Drawing:
    """Draw a picture, as PNG and SVG."""
    png, svg = io.BytesIO(), io.BytesIO()
    with style.applied():
        figure = picture.draw()
        figure.savefig(png, format="png")
        # The layout has been computed; computing it again takes as long as drawing.
        figure.set_layout_engine("none")
        # Without the date the same runs give the same bytes.
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return Drawing(picture.stem, picture.caption, png.getvalue(), svg.getvalue())
