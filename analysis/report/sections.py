"""What the report computes from a store, and what it says and shows of all runs and of each setting."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from analysis import curves, decision, probe, stability, store, style
from analysis.decision import Decision
from analysis.display import Table
from analysis.statistics import COUNTED, SETTING, completeness, finished
from analysis.store import SEED, STATUSES, B, K
from analysis.style import Picture
from src import schema

# Of one setting: heading, kind (of NLL), finished (runs), answers (sentences), tables, drawings (each picture with its
# files by suffix), absent (what could not be shown, and why), details (further tables), as the page's template has it.
Section = dict[str, Any]


class Question(NamedTuple):
    """What is asked for: a place as store.read() has it, an experiment, sweeps (none: all runs), what is compared."""

    uri: str
    experiment: str
    sweeps: list[str]
    threshold: float | None = None  # nats/image; None: chosen from the runs
    design: Mapping[str, Any] = MappingProxyType({})  # what is given of the design; the rest is that of the latest run


@dataclass(frozen=True)
class Findings:
    """The tables of a report. All but history have a column `setting`.

    varying: the parameters in which settings differ. decision: over all settings. runs: marked. cells, stability: a
    row per cell. points, observed: a row per probed epoch and part of each cell or run; no rows without a probe.
    """

    question: Question
    varying: list[str]
    decision: Decision
    runs: pd.DataFrame
    history: pd.DataFrame
    cells: pd.DataFrame
    stability: pd.DataFrame
    points: pd.DataFrame
    observed: pd.DataFrame

    def by_setting(self) -> list["Findings"]:
        """The same of each setting, with its rows."""
        names = ("runs", "cells", "stability", "points", "observed")
        return [
            replace(self, **{name: (table := getattr(self, name))[table[SETTING] == setting] for name in names})
            for setting in sorted(self.runs[SETTING].unique())
        ]


def compute(question: Question) -> Findings:
    """Read the store and compute every table. Raises ReportError where there is nothing to report."""
    tables = completeness.select_sweeps(store.read(question.uri, question.experiment), question.sweeps)
    runs, history = completeness.mark(tables), tables.history
    observed = probe.observations(history, runs)
    decided, cells = decision.decide(runs, history, question.design), curves.results_by_cell(runs)
    steadiness = stability.stability_by_cell(runs, history, question.threshold)
    points = probe.components_by_point(observed, runs)
    return Findings(question, completeness.varying(runs), decided, runs, history, cells, steadiness, points, observed)


def draw(findings: Findings) -> list[Section]:
    """The sections of all settings, with their figures drawn."""
    return [section(found) for found in findings.by_setting()]


def section(found: Findings) -> Section:
    """The section of a setting, from its findings."""
    runs, points = found.runs, found.points
    images = store.pictures(found.question.uri, finished(runs), schema.RECONSTRUCTIONS_FILE)
    without = ", ".join(str(k) for k in sorted(set(finished(runs)[K]) - set(images[K]))) if len(images) else ""
    kind, data = completeness.nll_kind(runs), heading(runs, found.varying)
    pictures = [
        *curves.pictures(runs, found.history, found.cells, images, kind, data),
        *probe.pictures(points, found.observed, data),
    ]
    return {
        "heading": data,
        "kind": kind,
        "finished": len(finished(runs)),
        "answers": [
            *stability.threshold_sentences(found.stability, kind),
            *probe.noise_sentences(points),
        ],
        "tables": [
            curves.cell_table(found.cells, kind),
            stability.stability_table(found.stability, kind),
            stability.threshold_table(found.stability, kind, found.question.threshold is not None),
            probe.probe_table(probe.of_parts(probe.last_probe(points)), probe.caption(points)),
        ],
        "drawings": [(picture, drawn(picture)) for picture in pictures if len(picture.table)],
        "absent": [
            *(f"{p.stem}: no finished run recorded what it shows." for p in pictures if p.table.empty),
            *([f"reconstructions at K = {without}: the artifact is missing."] if without else []),
            *probe.left_out(found.history, runs),
        ],
        "details": [
            probe.probe_table(points, "The probe at every epoch, by layer and head too"),
            _text("Run ids behind each cell", runs, ["start_time"], ["status", "run_id", "run_name"]),
            parameter_table(runs),
        ],
    }


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


def heading(runs: pd.DataFrame, varying: list[str]) -> str:
    """The data of a setting, and in what it differs from the other settings of the report."""
    first = runs.iloc[0]
    data = f"{first.get('data.name', 'data not recorded')}, {first.get('data.pixels', 'unrecorded')} pixels"
    others = [p for p in varying if p not in (schema.NLL_KIND, "data.name", "data.pixels")]
    return "; ".join([data, *(f"{p} = {'none' if pd.isna(first[p]) else first[p]}" for p in others)])


def parameter_table(runs: pd.DataFrame) -> Table:
    """The parameters that all runs of a setting share."""
    shared = runs.iloc[0][completeness.setting_params(runs)].dropna().astype(str).reset_index()
    return Table("Parameters shared by every run", ["parameter", "value"], shared.to_numpy().tolist())


def lost_table(runs: pd.DataFrame) -> Table:
    """Every run that is in no mean, and why: not finished, never started, a repeat, or without a test score."""
    return _text("Runs that are in no mean", completeness.lost(runs), ["run_id"], ["why", "run_id"])


def _text(caption: str, rows: pd.DataFrame, order: list[str], columns: list[str]) -> Table:
    """The named columns after the setting, B, K and seed, as text."""
    shown = rows.sort_values([SETTING, B, K, SEED, *order])[[SETTING, B, K, SEED, *columns]].fillna("–").astype(str)
    heads = [SETTING, "B", "K", SEED, *(name.replace("_", " ") for name in columns)]
    return Table(caption, heads, shown.to_numpy().tolist())


def verdicts(findings: Findings) -> tuple[list[str], list[Table]]:
    """The answer over all settings, and the tables that it rests on."""
    found = findings.decision
    tables = [decision.verdict_table(found.contrasts, "The decision"), decision.matched_table(found.matched)]
    if found.untuned:
        tables.append(decision.verdict_table(found.untuned, "The same without tuning"))
    return decision.answers(found, findings.runs), tables


def totals(runs: pd.DataFrame) -> str:
    """How many runs there are, and what became of them."""
    counted = runs[runs[COUNTED]]
    by_status = ", ".join(f"{(counted['status'] == status).sum()} {status}" for status in STATUSES)
    return (
        f"{len(runs)} runs recorded, of which {len(runs) - len(counted)} repeat a cell and seed and are set aside. Of "
        f"the others: {by_status}. Implied by the grids and never started: {len(completeness.missing(runs))}."
    )
