"""The files of the report."""

import base64
import re
from pathlib import Path

import jinja2
import pandas as pd

from analysis.report.findings import Findings
from analysis.report.sections import Drawing, Section
from analysis.report.words import lost_table, totals
from analysis.statistics import SETTING, completeness
from src import schema

# What an earlier report of the same name may have written for other settings and figures.
STALE = (
    "summary*.csv",
    "differences*.csv",
    "stability*.csv",
    "probe*.csv",
    "probe.parquet",
    "figures/*.png",
    "figures/*.svg",
)


def write(findings: Findings, sections: list[Section], folder: Path) -> list[Path]:
    """Write every file of the report, and remove those of an earlier one.

    Returns:
        The files written.
    Raises:
        OSError: the folder cannot be written to.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for pattern in STALE:
        for stale in folder.glob(pattern):
            stale.unlink()
    written = write_tables(folder, findings)
    for setting, section in zip(findings.settings, sections, strict=True):
        prefix = f"setting{setting}_" if len(sections) > 1 else ""
        for drawing in section.drawings:
            for suffix, content in (("png", drawing.png), ("svg", drawing.svg)):
                written.append(folder / "figures" / f"{prefix}{drawing.stem}.{suffix}")
                written[-1].write_bytes(content)
    written.append(folder / "report.html")
    written[-1].write_text(page(findings, sections), encoding="utf-8")
    return written


def write_tables(folder: Path, findings: Findings) -> list[Path]:
    """Runs, histories and probes as Parquet, what was computed from them as CSV; without probes no file of them."""
    tidy = {"runs": findings.runs, "history": findings.history}
    tables = {"summary": findings.cells, "differences": findings.gains, "stability": findings.stability}
    if len(findings.points):
        tidy["probe"], tables["probe"] = findings.observed, findings.points
    for name, table in tidy.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return [*(folder / f"{name}.parquet" for name in tidy), *write_csv(folder, findings, tables)]


def write_csv(folder: Path, findings: Findings, tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Each table as CSV, with the parameters in which its settings differ. Each kind of NLL has its own file, because
    numbers of two kinds cannot be compared.
    """
    kinds = {setting: completeness.nll_kind(mine) for setting, mine in findings.runs.groupby(SETTING)}
    settings = findings.runs.drop_duplicates(SETTING)[[SETTING, *findings.varying]]
    settings = settings.assign(**{schema.NLL_KIND: settings[SETTING].map(kinds)})
    written = []
    for kind, of_kind in settings.groupby(schema.NLL_KIND):
        suffix = f"-{slug(str(kind).lower())}" if settings[schema.NLL_KIND].nunique() > 1 else ""
        for name, table in tables.items():
            written.append(folder / f"{name}{suffix}.csv")
            of_kind.merge(table, "inner", SETTING).to_csv(written[-1], index=False)
    return written


def page(findings: Findings, sections: list[Section]) -> str:
    """The page: one HTML file, with its figures inside it and no request to anywhere."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    started = findings.runs["start_time"]
    return environment.get_template("report.html.j2").render(
        question=findings.question,
        period=[f"{time:%Y-%m-%d}" for time in (started.min(), started.max())],
        totals=totals(findings.runs),
        lost=lost_table(findings.runs),
        sections=sections,
        pseudo_nll=schema.PSEUDO_NLL,
        data_uri=data_uri,
    )


def data_uri(drawing: Drawing) -> str:
    """The figure as an address that holds its content."""
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.svg).decode()}"


def slug(name: str) -> str:
    """A name with only characters that are safe in a file's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "report"
