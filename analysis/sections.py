"""What the report says and shows of one setting: its answers, tables and pictures."""

from typing import NamedTuple

import pandas as pd

from analysis import probe_tables, probes, stability, stability_tables, statistics, wording
from analysis.display import Table
from analysis.pictures import Picture, picture_of_images, pictures_of_probes, pictures_of_runs
from analysis.tidy import SETTING
from src import schema

K = schema.MC_SAMPLES.key


class Section(NamedTuple):
    """One setting of the report. absent: what could not be shown, and why."""

    heading: str
    kind: str
    answers: list[str]
    tables: list[Table]
    pictures: list[Picture]
    absent: list[str]
    details: list[Table]


class Findings(NamedTuple):
    """The tables that sections are made of, each with a column `setting`.

    cells, gains: statistics.summary and statistics.gains. stability: stability.summary. points, observed:
    probes.summary and probes.observations, with no rows where nobody probed.
    """

    cells: pd.DataFrame
    gains: pd.DataFrame
    stability: pd.DataFrame
    points: pd.DataFrame
    observed: pd.DataFrame

    def of(self, setting: int) -> "Findings":
        """Those of one setting."""
        return Findings(*(table[table[SETTING] == setting] for table in self))


def find(runs: pd.DataFrame, history: pd.DataFrame, threshold: float | None) -> Findings:
    """Everything there is to compute from marked runs with the columns of statistics.cost()."""
    observed = probes.observations(history, runs)
    return Findings(
        statistics.summary(runs),
        statistics.gains(runs),
        stability.summary(runs, history, threshold),
        probes.summary(observed, runs),
        observed,
    )


def section(
    runs: pd.DataFrame,
    findings: Findings,
    history: pd.DataFrame,
    images: pd.DataFrame,
    varying: list[str],
    threshold: float | None = None,
) -> Section:
    """The section of a setting.

    Args:
        runs: marked runs of one setting, with the columns of statistics.cost().
        findings: of these runs.
        history: the history of the experiment.
        images: a row per K whose picture of reconstructions was found: mc_samples, batch_size, seed, image.
        varying: the parameters that tell this setting from the others of the report.
        threshold: the test NLL that the user asked about, nats/image.
    """
    kind, heading = wording.nll_kind(runs), wording.heading(runs, varying)
    cells, points = findings.cells, findings.points
    pictures = [
        *pictures_of_runs(statistics.finished(runs), history, kind, heading, wording.seeds(cells)),
        *pictures_of_probes(points, findings.observed, heading),
        picture_of_images(images, heading),
    ]
    return Section(
        heading=heading,
        kind=kind,
        answers=answers(findings, kind),
        tables=tables(findings, kind, threshold is not None),
        pictures=[picture for picture in pictures if len(picture.table)],
        absent=[*missing(pictures), *without_image(runs, images)],
        details=[
            *([probe_tables.probe_table(points, "The probe at every epoch")] if len(points) else []),
            wording.run_table(runs),
            wording.parameter_table(runs),
        ],
    )


def answers(findings: Findings, kind: str) -> list[str]:
    """The setting in short."""
    return [
        *wording.answers(findings.cells, findings.gains, kind),
        *stability_tables.answers(findings.stability, kind),
        *probe_tables.answers(findings.points),
    ]


def tables(findings: Findings, kind: str, chosen: bool) -> list[Table]:
    """What is shown at once; chosen: whether the user chose the threshold."""
    points = findings.points
    return [
        wording.cell_table(findings.cells, kind),
        wording.gain_table(findings.gains, kind),
        stability_tables.stability_table(findings.stability, probes.step_noise(points), kind),
        stability_tables.threshold_table(findings.stability, kind, chosen),
        probe_tables.probe_table(probes.last(points), probe_tables.caption(points)),
    ]


def missing(pictures: list[Picture]) -> list[str]:
    """The pictures that nobody recorded anything for."""
    return [f"{p.stem}: no finished run recorded what it shows." for p in pictures if p.table.empty]


def without_image(runs: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """The K whose picture of reconstructions is missing where others have one."""
    without = sorted(set(statistics.finished(runs)[K]) - set(images[K]))
    if not without or images.empty:
        return []
    return [f"reconstructions at K = {', '.join(map(str, without))}: the artifact is missing."]
