"""Rebuild every table and figure from the store: python -m analysis.report

Reads what the runs recorded, trains nothing, and writes reports/NAME/: runs.parquet (a row per run), history.parquet
(a row per run and epoch), probe.parquet (a row per run, probed epoch and part), summary.csv and stability.csv (a row
per cell), differences.csv (paired seeds), probe.csv (a row per cell, probed epoch and part), figures/ (PNG and SVG) and
report.html, one file that opens from disk.
"""

import argparse
import math
import os
import sys
from contextlib import suppress
from pathlib import Path

import matplotlib

from analysis.curves import cells_as_text
from analysis.report import Findings, Question, Section, compute, draw, write
from analysis.report.words import totals
from analysis.report.writing import slug
from analysis.store import ReportError
from src import schema

DEFAULT_STORE = "sqlite:///mlflow.db"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.report",
        description="Rebuild every table and figure from the recorded runs, without training.",
    )
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    parser.add_argument("--store", default=uri, metavar="URI", help="MLflow store (default: %(default)s)")
    parser.add_argument(
        "--experiment", default=schema.EXPERIMENT, metavar="NAME", help="MLflow experiment (default: %(default)s)"
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
    """A threshold; anything else than a finite number is an argparse error."""
    with suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a finite number of nats per image. Received: {text}. For example 150.")


def main(arguments: list[str] | None = None) -> int:
    """Write the report. Returns 0 on success, 2 with one message on stderr where there is nothing to report."""
    options = parse(arguments)
    matplotlib.use("Agg")
    question = Question(options.store, options.experiment, tuple(options.sweep), options.threshold)
    folder = options.output / slug(options.name or "-".join(options.sweep) or options.experiment)
    try:
        findings = compute(question)
        sections = draw(findings)
        written = write(findings, sections, folder)
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
    print(as_text(findings, sections))
    print("\n".join(["", "Written:", *(f"  {path}" for path in written)]))
    return 0


def as_text(findings: Findings, sections: list[Section]) -> str:
    """The results of every cell, by setting, and what became of the runs, for a terminal."""
    cells = (findings.of(setting).cells for setting in findings.settings)
    texts = (f"{part.heading}\n{cells_as_text(mine, part.kind)}" for mine, part in zip(cells, sections, strict=True))
    return "\n\n".join([*texts, totals(findings.runs)])


if __name__ == "__main__":
    sys.exit(main())
