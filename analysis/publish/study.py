"""A study's folder in results/, made from its runs: tables, the figures that its page shows, and the page."""

from pathlib import Path
from typing import cast

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from analysis import charts
from analysis.picture import Picture
from analysis.publish.sources import fill
from analysis.report import Findings, Question, Report, compute, read, show
from analysis.report.page import HERE, markdown, shared
from analysis.report.writing import clear, write_tables
from analysis.statistics import COUNTED
from analysis.store import TAG_PREFIX, K, ReportError, shareable
from src import ROOT, schema
from src.refusal import refusal

# The figures that a page shows: the answer, its price, and where the noise comes from.
FIGURES = ("difference", "difference_path", "price", "stability", "probe_share")


def about(name: str) -> DictConfig:
    """What a study's file says of it: question, design, limits. Raises ReportError where there is no such study."""
    file = ROOT / "sweeps" / f"{name}.yaml"
    known = ", ".join(sorted(each.stem for each in file.parent.glob("*.yaml")))
    if not file.is_file():
        raise ReportError(refusal("NAME", f"a study of sweeps/: {known}", name, "Mend the name."))
    said = cast(DictConfig, OmegaConf.load(file)).get("about") or DictConfig({})
    if not {"question", "design", "limits"} <= set(said):
        expected = "question, design and limits"
        raise ReportError(refusal(f"about of {file.name}", expected, list(said), "sweeps/quick.yaml is an example."))
    return said


def rebuild(name: str, question: Question, results: Path) -> Path:
    """Write the folder of a study from its runs, and return its page.

    Raises:
        ReportError: there is no such study, or nothing to report.
        OSError: the folder cannot be written to.
    """
    about(name)  # refused before the runs are read
    folder = results / name
    # Without places: the page is that of the tables which are kept.
    findings = compute(question, shareable(read(question)))
    clear(folder)
    write_tables(folder.joinpath, findings)
    for picture in pictures(report := shown(findings)):
        (folder / "figures" / f"{picture.file}.png").write_bytes(charts.files(picture)["png"])
    (folder / "README.md").write_text(page(folder, report), encoding="utf-8")
    return folder / "README.md"


def shown(findings: Findings) -> Report:
    """What a page shows: the settings in which values of K are compared. Pictures of others are `analysis.report`'s."""
    contrasts = [each for each in findings.decision.contrasts if each.judgement.design.factor == K]
    compared = {run for each in contrasts for pair in each.pairs for run in pair.runs}
    return show(findings, [each for each in findings.by_setting() if compared.intersection(each.runs["run_id"])])


def pictures(report: Report) -> list[Picture]:
    """The pictures of a page."""
    return [each for each in report.pictures if each.stem in FIGURES]


def page(folder: Path, report: Report) -> str:
    """The page of a study: of its file, its runs, and notes.md.j2 in its folder, which is written by hand."""
    notes, runs = folder / "notes.md.j2", report.findings.runs
    counted = runs[runs[COUNTED]]
    own = {
        "name": folder.name,
        "about": about(folder.name),
        "pictures": pictures(report),
        "notes": fill(notes, folder.parent) if notes.is_file() else "",
        "hours": hours(counted),
        "dates": counted["start_time"].dt.strftime("%Y-%m-%d"),
        "values": lambda tag: counted[TAG_PREFIX + tag].dropna().unique(),
        "schema": schema,
    }
    return markdown(shared(report) | own, HERE / "study.md.j2")


def hours(runs: pd.DataFrame) -> float:
    """The time of runs together: from start to end only where a run has not finished, as pauses are in it."""
    elapsed = (runs["end_time"] - runs["start_time"]).dt.total_seconds()
    return runs[schema.RUN_SECONDS.key].fillna(elapsed).sum() / 3600
