"""Rebuild every table and figure from the store: python -m analysis.report

Reads what the runs recorded, trains nothing, and writes reports/NAME/: runs.parquet (a row per run), history.parquet
(a row per run and epoch), summary.csv (a row per cell), differences.csv (paired seeds), figures/ (PNG and SVG) and
report.html, one file that opens from disk.
"""

import argparse
import base64
import os
import re
import sys
from pathlib import Path

import jinja2
import matplotlib
import pandas as pd

from analysis import completeness, load, statistics, style, wording
from analysis.sections import Picture, Section, section
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
    parser.add_argument("--name", help="folder of the report (default: the sweep's or the experiment's name)")
    parser.add_argument(
        "--output", type=Path, default=Path("reports"), metavar="FOLDER", help="where reports go (default: %(default)s)"
    )
    return parser.parse_args(arguments)


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
    cells, gains = statistics.summary(runs), statistics.gains(runs)
    varying = completeness.varying(runs)

    clear(folder)
    written = [folder / "runs.parquet", folder / "history.parquet"]
    runs.to_parquet(written[0], index=False)
    history.to_parquet(written[1], index=False)
    written += write_csv(folder, runs, varying, summary=cells, differences=gains)

    sections, summary = [], []
    for setting, mine in runs.groupby(SETTING):
        images = load.reconstructions(options.store, statistics.finished(mine))
        my_cells = cells[cells[SETTING] == setting]
        content = section(mine, my_cells, gains[gains[SETTING] == setting], history, images, varying)
        prefix = f"setting{setting}_" if runs[SETTING].nunique() > 1 else ""
        stems = [folder / "figures" / f"{prefix}{picture.stem}" for picture in content.pictures]
        uris = [save(picture, stem) for picture, stem in zip(content.pictures, stems, strict=True)]
        sections.append((content, uris))
        summary.append(f"{content.heading}\n{wording.plain(my_cells, content.kind)}")
        written += [stem.with_suffix(suffix) for stem in stems for suffix in (".png", ".svg")]
    written.append(write_page(folder, runs, sections, options))
    return "\n\n".join([*summary, wording.totals(runs)]), written


def clear(folder: Path) -> None:
    """Take away what an earlier report of that name wrote: it may have had other settings and figures."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for pattern in ("summary*.csv", "differences*.csv", "figures/*.png", "figures/*.svg"):
        for stale in folder.glob(pattern):
            stale.unlink()


def write_csv(folder: Path, runs: pd.DataFrame, varying: list[str], **tables: pd.DataFrame) -> list[Path]:
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
