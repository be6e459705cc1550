"""What the report computes from a store, and what it says and shows of all runs and of each setting."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from analysis import charts, curves, decision, probe, stability, store
from analysis.decision import Decision
from analysis.display import Table
from analysis.picture import IMAGES, Picture
from analysis.report.completeness import lost_table, picture, text, totals
from analysis.statistics import SETTING, completeness, finished
from analysis.store import RUN, TAG_PREFIX, K, Tables
from src import schema
from src.writing import label, plural, render

MADE = (schema.RECONSTRUCTIONS_FILE, schema.LATENT_FILE, schema.MANIFOLD_FILE)


class Question(NamedTuple):
    """What is asked for: places as store.read() has them, whose runs are one study, an experiment, sweeps (none: all
    runs), what is compared.
    """

    places: list[str]
    experiment: str
    sweeps: list[str]
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


@dataclass(frozen=True)
class Drawing:
    """A picture, which is drawn when its files, by suffix, or its chart as data are asked for."""

    picture: Picture

    @cached_property
    def files(self) -> dict[str, bytes]:
        return charts.files(self.picture)

    @cached_property
    def specification(self) -> dict[str, Any] | None:
        """None where the page shows a file."""
        return charts.specification(self.picture) if self.picture.kind != IMAGES else None


class Topic(NamedTuple):
    """A part of a section: its title, sentences, drawings, and tables, which the page folds."""

    title: str
    sentences: list[str]
    drawings: list[Drawing]
    tables: list[Table]


class Section(NamedTuple):
    """What is shown of one setting: heading, kind of NLL, topics, and what could not be shown and why."""

    heading: str
    kind: str
    finished: int
    topics: list[Topic]
    absent: list[str]


class Shown(NamedTuple):
    """All that a page shows: the drawings of the decision, a section per setting, and what the grid has and lacks."""

    decision: list[Drawing]
    sections: list[Section]
    completeness: Topic

    def drawings(self) -> list[tuple[str, Drawing]]:
        """Every drawing with the stem of its files."""
        of_sections = [(n, topic.drawings) for n, each in enumerate(self.sections, start=1) for topic in each.topics]
        parts = [(0, self.decision), *of_sections, (0, self.completeness.drawings)]
        return [found for number, drawings in parts for found in self.named(drawings, number)]

    def named(self, drawings: list[Drawing], number: int = 0) -> list[tuple[str, Drawing]]:
        """Drawings with the stems of their files; number: of their section, 0 for what is about all runs."""
        prefix = f"setting{number}_" if number and len(self.sections) > 1 else ""
        return [(f"{prefix}{each.picture.stem}", each) for each in drawings]


def read(question: Question) -> Tables:
    """The runs that are asked for. Raises ReportError where there are none."""
    tables = store.together(store.read(place, question.experiment) for place in question.places)
    return completeness.select_sweeps(tables, question.sweeps)


def compute(question: Question, tables: Tables | None = None) -> Findings:
    """Every table, of the runs that were read, or are read now. Raises ReportError where there is nothing to report."""
    tables = tables or read(question)
    runs, history = completeness.mark(tables), tables.history
    observed = probe.observations(history, runs)
    decided, cells = decision.decide(runs, history, question.design), curves.results_by_cell(runs)
    steadiness = stability.stability_by_cell(runs, history)
    points = probe.components_by_point(observed, runs)
    return Findings(question, completeness.varying(runs), decided, runs, history, cells, steadiness, points, observed)


def draw(findings: Findings, settings: Iterable[Findings]) -> Shown:
    """Everything that a page shows, with a section for each of these settings."""
    runs = findings.runs
    lost = lost_table(runs)
    grid = Topic("Completeness", [totals(runs)], drawn([picture(runs)]), [lost] if lost.rows else [])
    answer = drawn(decision.pictures(findings.decision, commands(runs, findings.varying)))
    return Shown(answer, [section(found) for found in settings], grid)


def section(found: Findings) -> Section:
    """The section of a setting, from its findings."""
    runs, points, kind = found.runs, found.points, completeness.nll_kind(found.runs)
    data, usable = heading(runs, found.varying), finished(found.runs)
    images = {name: store.pictures(found.question.places, usable, name) for name in MADE}
    price, cost, paths, made = curves.pictures(runs, found.history, images, kind)
    steady, noise = stability.pictures(runs, found.history), probe.pictures(points)
    topics = [
        Topic("Price", [], drawn([price, cost, paths], data), [curves.cell_table(found.cells, kind)]),
        Topic("Stability", [stability.divergence(found.stability)], drawn(steady, data),
              [stability.stability_table(found.stability, kind)]),
        Topic("Where the noise comes from", probe.findings(points), drawn(noise, data), probe.probe_tables(points)),
        Topic("What the models make", [], drawn([made], data), []),
        Topic("Runs and parameters", [], [], [run_table(runs, found.varying), parameter_table(runs)]),
    ]  # fmt: skip
    empty = [each.stem for each in (price, cost, paths, *steady, *noise, made) if each.table.empty]
    absent = [f"{stem}: no finished run recorded what it shows." for stem in empty]
    without = sorted(set(usable[K]) - set(images[MADE[0]][K])) if len(images[MADE[0]]) else []
    absent += [f"reconstructions at {', '.join(label(K, k) for k in without)}: no such artifact."] if without else []
    if n := probe.left_out(found.history, runs):
        key = schema.PROBE_SET_SIZE.key
        absent.append(f"probes of {plural(n, 'run')}: recorded without {key}, by a version before that metric.")
    return Section(data, kind, len(usable), topics, absent)


def drawn(pictures: list[Picture], data: str = "") -> list[Drawing]:
    """The pictures that have something to show; data: what the runs were trained on."""
    return [Drawing(picture._replace(subtitle=data)) for picture in pictures if len(picture.table)]


def heading(runs: pd.DataFrame, varying: list[str]) -> str:
    """The data of a setting, and in what it differs from the other settings of the report."""
    first = runs.iloc[0]
    data = f"{first.get('data.name', 'data not recorded')}, {first.get('data.pixels', 'unrecorded')} pixels"
    others = [p for p in varying if p not in (schema.NLL_KIND, "data.name", "data.pixels")]
    return "; ".join([data, *(label(p, "none" if pd.isna(first[p]) else first[p]) for p in others)])


def commands(runs: pd.DataFrame, varying: Sequence[str]) -> dict[str, str]:
    """By run id the command that repeats it, but for K, B and seed: its grid's overrides with the run's own values.

    varying: of Findings.
    """
    swept = [key for key in varying if key != schema.NLL_KIND and not key.startswith(TAG_PREFIX)]
    return {run["run_id"]: command(run, swept) for run in runs.to_dict("records")}


def command(run: Mapping[Any, Any], swept: Sequence[str]) -> str:
    """That of one run; swept: the settings in which runs differ, which a study's file may sweep, too."""
    grid = run["parent_name"].split() if isinstance(run["parent_name"], str) else []
    given = dict(item.split("=", 1) for item in grid if "=" in item and not item.startswith(("study.", "hydra")))
    # Of a group such as data=mnist,fashion_mnist the run has the name.
    own = {key: next((run[name] for name in (key, f"{key}.name") if pd.notna(run.get(name))), text)
           for key, text in given.items()}  # fmt: skip
    own |= {key: run[key] for key in swept if key.partition(".")[0] not in given and pd.notna(run[key])}
    if "+sweep" in given:
        own["study.until"] = "null"  # a study may decide, for which one cell is too few
    return " ".join(["python -m src.train", *(shlex.quote(f"{key}={own[key]}") for key in own if key not in RUN)])


def run_table(runs: pd.DataFrame, varying: Sequence[str]) -> Table:
    """Every run of a setting with its id and what repeats it."""
    made = [*dict.fromkeys(commands(runs, varying).values())]
    caption = render(Path(__file__).with_name("runs.md.j2"), commands=made, own=RUN)
    return text("Run ids behind each cell", runs, ["start_time"], ["status", "run_id"], caption)


def parameter_table(runs: pd.DataFrame) -> Table:
    """The parameters that all runs of a setting share."""
    names = [name for name in completeness.setting_params(runs) if runs[name].nunique(dropna=False) == 1]
    shared = runs.iloc[0][names].dropna().astype(str).reset_index()
    return Table("Parameters shared by every run", ["parameter", "value"], shared.to_numpy().tolist())


def decision_tables(found: Decision) -> list[Table]:
    """The tables that the answer rests on."""
    tables = [decision.verdict_table(found.contrasts, "The decision"), decision.matched_table(found.matched)]
    return [*tables, *([decision.verdict_table(found.untuned, "The same without tuning")] if found.untuned else [])]
