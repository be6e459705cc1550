"""The files of the report."""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path

from analysis import decision
from analysis.report.findings import Findings
from analysis.report.page import markdown, page, shared
from analysis.report.sections import Report
from analysis.statistics import SETTING, completeness
from analysis.store import Tables, shareable
from src import schema

# What an earlier report of the same name may have written for other settings and figures.
STALE = ("summary*.csv", "differences*.csv", "stability*.csv", "probe*.csv", "probe.parquet", "figures/*.[ps][nv]g")


def write(report: Report, folder: Path, refresh: bool = False) -> list[Path]:
    """Write every file of the report, remove those of an earlier one, and return the paths written.

    Raises:
        OSError: the folder cannot be written to.
    """
    clear(folder)
    written: list[Path] = []

    def new(name: str) -> Path:
        written.append(folder / name)
        return written[-1]

    write_tables(new, report.findings)
    for name, files in report.files.items():
        for suffix, content in files.items():
            new(f"figures/{name}.{suffix}").write_bytes(content)
    new("report.md").write_text(markdown(shared(report)), encoding="utf-8")
    new("report.html").write_text(page(report, refresh), encoding="utf-8")
    return written


def clear(folder: Path) -> None:
    """Make the folder of a report, and remove what an earlier one has left there."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for stale in [file for pattern in STALE for file in folder.glob(pattern)]:
        stale.unlink()


def write_tables(new: Callable[[str], Path], findings: Findings) -> None:
    """Runs and histories as recorded, and probes, if any, as Parquet; what was computed from them as CSV, with the
    parameters in which settings differ, and apart by kind of NLL, because numbers of two kinds cannot be compared.
    """
    tidy = shareable(Tables(findings.runs.drop(columns=completeness.MARKS), findings.history))._asdict()
    tables = {"summary": findings.cells, "stability": findings.stability}
    if findings.decision.contrasts:
        decision.differences(findings.decision.contrasts).to_csv(new("differences.csv"), index=False)
    if len(findings.points):
        tidy["probe"], tables["probe"] = findings.observed, findings.points
    for name, table in tidy.items():
        table.to_parquet(new(f"{name}.parquet"), index=False, compression="zstd")
    kinds = {setting: completeness.nll_kind(mine) for setting, mine in findings.runs.groupby(SETTING)}
    settings = findings.runs.drop_duplicates(SETTING)[[SETTING, *findings.varying]]
    settings = settings.assign(**{schema.NLL_KIND: settings[SETTING].map(kinds)})
    for kind, of_kind in settings.groupby(schema.NLL_KIND):
        suffix = f"-{slug(str(kind).lower())}" if len(set(kinds.values())) > 1 else ""
        for name, table in tables.items():
            of_kind.merge(table, "inner", SETTING).to_csv(new(f"{name}{suffix}.csv"), index=False)


def slug(name: str) -> str:
    """A name with only characters that are safe in a file's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "report"


def add_store(parser: argparse.ArgumentParser) -> None:
    """The option --store: places as store.read() has them, by default the one that MLflow's own variable names."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    text = "MLflow stores, or folders of earlier reports; the runs of several are one study (default: %(default)s)"
    parser.add_argument("--store", nargs="+", default=[uri], metavar="PLACE", help=text)
