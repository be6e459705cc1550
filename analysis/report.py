"""Rebuild every table and figure from the store: python -m analysis.report

Reads what the runs recorded, trains nothing, and writes reports/NAME/: runs.parquet (a row per run), history.parquet
(a row per run and epoch), probe.parquet (a row per run, probed epoch and part), summary.csv and stability.csv (a row
per cell), differences.csv (paired seeds), probe.csv (a row per cell, probed epoch and part), figures/ (PNG and SVG) and
report.html, one file that opens from disk.
"""

import argparse
import base64
import math
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import jinja2
import matplotlib
import pandas as pd

from analysis import completeness, load, statistics, style, wording
from analysis.pictures import Picture
from analysis.sections import Findings, Section, find, section
from analysis.tidy import SETTING, ReportError, Tables
from src import schema

DEFAULT_STORE = "sqlite:///mlflow.db"
DEFAULT_EXPERIMENT = "vae-mc-samples"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Rebuild every table and figure from the recorded runs, without training.",
    )
    store = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    parser.add_argument("--store", default=store, metavar="URI", help="MLflow store (default: %(default)s)")
    parser.add_argument(
        "--experiment", default=DEFAULT_EXPERIMENT, metavar="NAME", help="MLflow experiment (default: %(default)s)"
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        default=[],
        metavar="SWEEP",
        help="only these sweeps: a parent's run id or name, or a name",
    )
    parser.add_argument(
        "--threshold",
        type=nats,
        metavar="NATS",
        help="test NLL whose reaching is timed (default: by setting, the worst cell's median at the end)",
    )
    parser.add_argument("--name", help="folder of the report (default: the sweep's or the experiment's name)")
    parser.add_argument(
        "--output", type=Path, default=Path("reports"), metavar="FOLDER", help="where reports go (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def nats(text: str) -> float:
    """A threshold, as argparse wants its errors."""
    with suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a finite number of nats per image. Received: {text}. For example 150.")


def main(arguments: list[str] | None = None) -> int:
    """Write the report; 0 on success, 2 with one message on stderr where there is nothing to report."""
    options = parse(arguments)
    matplotlib.use("Agg")
    name = options.name or "-".join(options.sweep) or options.experiment
    folder = options.output / slug(name)
    try:
        tables = load.read(options.store, options.experiment)
        runs = completeness.select_sweeps(tables.runs, options.sweep)
        summary, written = write(Tables(runs, tables.history), folder, options)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            "error: the report cannot be written. Expected a folder to write to. "
            f"Received: {folder} ({error.strerror}). Choose another one with --output FOLDER.",
            file=sys.stderr,
        )
        return 2
    print(summary)
    print("\n".join(["", "Written:", *(f"  {path}" for path in written)]))
    return 0


def write(tables: Tables, folder: Path, options: argparse.Namespace) -> tuple[str, list[Path]]:
    """Every file of the report. Returns a summary for the terminal and the files written."""
    runs = completeness.mark(tables.runs)
    history = tables.history[tables.history["run_id"].isin(runs["run_id"])]
    runs = runs.merge(statistics.cost(history), "left", "run_id")
    findings = find(runs, history, options.threshold)
    varying = completeness.varying(runs)

    clear(folder)
    written = write_tables(folder, runs, history, findings, varying)
    sections, summary = [], []
    for setting, mine in runs.groupby(SETTING):
        images = load.reconstructions(options.store, statistics.finished(mine))
        found = findings.of(mine[SETTING].iloc[0])
        content = section(mine, found, history, images, varying, options.threshold)
        prefix = f"setting{setting}_" if runs[SETTING].nunique() > 1 else ""
        stems = [folder / "figures" / f"{prefix}{picture.stem}" for picture in content.pictures]
        uris = [save(picture, stem) for picture, stem in zip(content.pictures, stems, strict=True)]
        sections.append((content, uris))
        summary.append(f"{content.heading}\n{wording.plain(found.cells, content.kind)}")
        written += [stem.with_suffix(suffix) for stem in stems for suffix in (".png", ".svg")]
    written.append(write_page(folder, runs, sections, options))
    return "\n\n".join([*summary, wording.totals(runs)]), written


def clear(folder: Path) -> None:
    """Take away what an earlier report of that name wrote: it may have had other settings and figures."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    tables = ("summary*.csv", "differences*.csv", "stability*.csv", "probe*.csv", "probe.parquet")
    for pattern in (*tables, "figures/*.png", "figures/*.svg"):
        for stale in folder.glob(pattern):
            stale.unlink()


def write_tables(
    folder: Path, runs: pd.DataFrame, history: pd.DataFrame, findings: Findings, varying: list[str]
) -> list[Path]:
    """Runs, histories and probes as Parquet, what was computed from them as CSV; without probes no file of them."""
    tidy = {"runs": runs, "history": history}
    tables = {"summary": findings.cells, "differences": findings.gains, "stability": findings.stability}
    if len(findings.points):
        tidy["probe"], tables["probe"] = findings.observed, findings.points
    for name, table in tidy.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return [*(folder / f"{name}.parquet" for name in tidy), *write_csv(folder, runs, varying, tables)]


def write_csv(folder: Path, runs: pd.DataFrame, varying: list[str], tables: dict[str, pd.DataFrame]) -> list[Path]:
    """Each table as CSV, with what tells its settings apart. A pseudo-NLL and an NLL never share a file."""
    kinds = {setting: wording.nll_kind(mine) for setting, mine in runs.groupby(SETTING)}
    settings = runs.drop_duplicates(SETTING)[[SETTING, *varying]]
    settings = settings.assign(**{schema.NLL_KIND: settings[SETTING].map(kinds)})
    written = []
    for kind, of_kind in settings.groupby(schema.NLL_KIND):
        suffix = f"-{slug(str(kind).lower())}" if settings[schema.NLL_KIND].nunique() > 1 else ""
        for name, table in tables.items():
            written.append(folder / f"{name}{suffix}.csv")
            of_kind.merge(table, "inner", SETTING).to_csv(written[-1], index=False)
    return written


def save(picture: Picture, stem: Path) -> str:
    """Save a picture as PNG and SVG; returns the SVG as a data URI."""
    with style.applied():
        figure = picture.draw()
        figure.savefig(stem.with_suffix(".png"))
        # The layout is found; finding it again takes as long as drawing.
        figure.set_layout_engine("none")
        # Without the date the same runs give the same bytes.
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(stem.with_suffix('.svg').read_bytes()).decode()}"


def write_page(
    folder: Path, runs: pd.DataFrame, sections: list[tuple[Section, list[str]]], options: argparse.Namespace
) -> Path:
    """The page: one file, with its figures inside it and no request to anywhere."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True).get_template(
        "report.html.j2"
    )
    page = folder / "report.html"
    page.write_text(
        template.render(
            experiment=options.experiment,
            sweeps=options.sweep,
            threshold=options.threshold,
            period=[f"{time:%Y-%m-%d}" for time in (runs["start_time"].min(), runs["start_time"].max())],
            totals=wording.totals(runs),
            lost=wording.lost_table(runs),
            sections=sections,
            pseudo_nll=schema.PSEUDO_NLL,
        ),
        encoding="utf-8",
    )
    return page


def slug(name: str) -> str:
    """A name that is safe as a file's."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "report"


if __name__ == "__main__":
    sys.exit(main())
