"""Rebuild the folder of a study in results/: python -m analysis.results NAME

Reads the runs of the experiment NAME, which `make results NAME=...` has trained from sweeps/NAME.yaml, and writes
results/NAME/: runs.parquet, history.parquet and probe.parquet, the tables computed from them as CSV, the figures that
the page shows, and the page, README.md. Its text is that of the study's file, of the runs, and of notes.md beside it,
which is written by hand. With --store results/NAME everything is rebuilt from the tables that are there.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple, cast

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from analysis import charts
from analysis.report import Findings, Question, compute, read, show
from analysis.report.page import markdown, shared
from analysis.report.runs import totals
from analysis.report.writing import add_store, clear, told_or_refused, write_tables
from analysis.statistics import COUNTED
from analysis.store import TAG_PREFIX, K, ReportError, shareable
from src import ROOT, schema
from src.refusal import refusal

# Of these packages the versions are told.
PACKAGES = ("python", "tensorflow", "keras", "numpy")
# The figures that a page shows: the answer, its price, and where the noise comes from.
FIGURES = ("difference", "difference_path", "price", "stability", "probe_share")


class About(NamedTuple):
    """What a study's file says of it: its question, its design, what it does not tell, and its time on two cores."""

    question: str
    design: str
    limits: str
    predicted: str


def about(file: Path) -> About:
    """What a study's file says of it. Raises ReportError where there is no such file, or it does not say this."""
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in file.parent.glob("*.yaml")))
        raise ReportError(refusal("NAME", f"a study of sweeps/: {known}", file.stem, "Mend the name."))
    said = cast(DictConfig, OmegaConf.load(file)).get("about")
    try:
        return About(**(said or {}))
    except TypeError as error:
        expected, remedy = f"the texts {', '.join(About._fields)}", "sweeps/quick.yaml is an example."
        raise ReportError(refusal(f"about of {file}", expected, said, remedy)) from error


def made(runs: pd.DataFrame) -> list[str]:
    """When, where, with what and how long the counted runs were made: items of a list."""
    ended = runs[runs[COUNTED]]
    tags = {
        "commit": "mlflow.source.git.commit",
        "processor": schema.CPU,
        "cores": "machine.cores",
        "threads of a run": schema.THREADS,
        **{package: f"version.{package}" for package in PACKAGES},
    }
    found = {name: list(ended[TAG_PREFIX + tag].dropna().unique()) for name, tag in tags.items()}
    found["commit"] = [value[:7] for value in found["commit"]]
    if "true" in set(ended[f"{TAG_PREFIX}git.dirty"]):
        found["commit"].append("with changes that were not committed")
    dates = ended["start_time"].dt.strftime("%Y-%m-%d")
    # From start to end only where a run has not finished: the time between two attempts is in it.
    elapsed = (ended["end_time"] - ended["start_time"]).dt.total_seconds()
    hours = ended[schema.RUN_SECONDS.key].fillna(elapsed).sum() / 3600
    found = {"date": sorted({dates.min(), dates.max()}), "time of all runs together": [f"{hours:.1f} h"], **found}
    return [f"- {name}: {', '.join(values)}" for name, values in found.items()]


def answering(findings: Findings) -> list[Findings]:
    """The settings in which values of K are compared; figures of the others are those of `analysis.report`."""
    contrasts = [each for each in findings.decision.contrasts if each.judgement.design.factor == K]
    compared = {run for each in contrasts for pair in each.pairs for run in pair.runs}
    return [found for found in findings.by_setting() if compared.intersection(found.runs["run_id"])]


def rebuild(name: str, question: Question, results: Path) -> Path:
    """Write the folder of a study from its runs, and return its page.

    Raises:
        ReportError: there is no such study, or nothing to report.
        OSError: the folder cannot be written to.
    """
    header, folder = about(ROOT / "sweeps" / f"{name}.yaml"), results / name
    # Without places: the page is that of the tables which are kept.
    findings = compute(question, shareable(read(question)))
    report = show(findings, answering(findings))
    pictures = [each for each in report.pictures if each.stem in FIGURES]
    clear(folder)
    write_tables(folder.joinpath, findings)
    for picture in pictures:
        (folder / "figures" / f"{picture.file}.png").write_bytes(charts.files(picture)["png"])
    notes = folder / "notes.md"
    own = {"name": name, "about": header, "pictures": pictures, "made": made(findings.runs)}
    own["notes"] = notes.read_text(encoding="utf-8").strip() if notes.is_file() else ""
    said = {**shared(report), **own, "totals": totals(findings.runs)}
    (folder / "README.md").write_text(
        markdown(said, Path(__file__).parent / "report" / "study.md.j2"), encoding="utf-8"
    )
    return folder / "README.md"


def main(arguments: list[str] | None = None) -> int:
    """Rebuild the folder. Returns 0 on success, 2 with one message on stderr where it cannot be."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.results", description=__doc__, formatter_class=style)
    parser.add_argument("name", metavar="NAME", help="a study of sweeps/, and the experiment of its runs")
    add_store(parser)
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="FOLDER", help="where studies lie")
    options = parser.parse_args(arguments)
    question = Question(options.store, options.name, [])
    return told_or_refused(lambda: [rebuild(options.name, question, options.results)])


if __name__ == "__main__":
    sys.exit(main())
