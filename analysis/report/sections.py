"""What the report says and shows of all runs and of each setting."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from analysis import charts, curves, decision, probe, stability, store
from analysis.display import Table
from analysis.picture import Picture, palette
from analysis.report.findings import Findings
from analysis.report.runs import commands, heading, parameter_table, run_table, status_picture
from analysis.statistics import completeness, finished
from src import schema

MADE = (schema.RECONSTRUCTIONS_FILE, schema.LATENT_FILE, schema.MANIFOLD_FILE)


class Section(NamedTuple):
    """What is shown of a topic: its title, pictures, tables, which the page folds, and sentences."""

    title: str
    pictures: list[Picture]
    tables: list[Table]
    sentences: list[str]


class Setting(NamedTuple):
    """What is shown of one setting.

    Attributes:
        finished: its number of finished runs.
        empty: the pictures for which no finished run recorded anything.
        without: the K of finished runs without the artifact of reconstructions, as labels.
        unknown_probes: the number of runs whose probes are left out.
    """

    heading: str
    kind: str
    finished: int
    sections: list[Section]
    empty: list[str]
    without: list[str]
    unknown_probes: int


@dataclass(frozen=True)
class Report:
    """All that is shown of findings: pictures of the decision, every setting, and what became of every run."""

    findings: Findings
    answer: list[Picture]
    settings: list[Setting]
    status: Picture

    @property
    def pictures(self) -> list[Picture]:
        of_settings = (section.pictures for setting in self.settings for section in setting.sections)
        return [*self.answer, *chain(*of_settings), self.status]

    @cached_property
    def files(self) -> dict[str, dict[str, bytes]]:
        """Every picture, drawn once: by its file's name, then by suffix."""
        return {picture.file: charts.files(picture) for picture in self.pictures}


def show(findings: Findings, settings: Iterable[Findings] | None = None) -> Report:
    """The report, with these settings or all."""
    several = list(findings.by_setting() if settings is None else settings)
    answer = decision.pictures(findings.decision, commands(findings.runs, findings.varying))
    shown = [of_setting(found, number if len(several) > 1 else 0) for number, found in enumerate(several, start=1)]
    return Report(findings, [each for each in answer if len(each.table)], shown, status_picture(findings.runs))


def of_setting(found: Findings, number: int) -> Setting:
    """What is shown of a setting; number: in the names of its files, 0 where it is the only one."""
    runs, points, kind = found.runs, found.points, completeness.nll_kind(found.runs)
    data, usable = heading(runs, found.varying), finished(found.runs)
    images = {name: store.pictures(found.question.places, usable, name) for name in MADE}
    price, cost, paths, made = curves.pictures(runs, found.history, images, kind)
    divergence = stability.divergence(found.stability)
    sections = [
        Section("Price", [price, cost, paths], [curves.cell_table(found.cells, kind)], []),
        Section("Stability", stability.pictures(runs, found.history),
                [stability.stability_table(found.stability, kind)], [divergence] if divergence else []),
        Section("Where the noise comes from", probe.pictures(points), probe.probe_tables(points),
                probe.findings(points)),
        Section("What the models make", [made], [], []),
        Section("Runs and parameters", [], [run_table(runs, found.varying), parameter_table(runs)], []),
    ]  # fmt: skip
    empty = [each.stem for section in sections for each in section.pictures if each.table.empty]
    drawn = [
        section._replace(
            pictures=[each._replace(setting=number, subtitle=data) for each in section.pictures if len(each.table)]
        )
        for section in sections
    ]
    reconstructed = images[schema.RECONSTRUCTIONS_FILE]
    without = [k for k in palette(usable) if k not in palette(reconstructed)] if len(reconstructed) else []
    return Setting(data, kind, len(usable), drawn, empty, without, probe.left_out(found.history, runs))
