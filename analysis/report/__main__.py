"""Rebuild every table and figure from the store: python -m analysis.report

Reads what the runs recorded, trains nothing, and writes reports/NAME/: runs.parquet (a row per run), history.parquet
(a row per run and epoch), probe.parquet (a row per run, probed epoch and part), summary.csv and stability.csv (a row
per cell), differences.csv (verdicts), probe.csv (a row per cell, probed epoch and part), figures/ (PNG and SVG),
report.md, and report.html, one file that opens from disk.
"""

import argparse
import math
import sys
import time
from contextlib import suppress
from pathlib import Path

from analysis.curves import cells_as_text
from analysis.decision import answer_text
from analysis.report import Question, compute, read, show, write
from analysis.report.runs import totals
from analysis.report.writing import add_store, slug
from analysis.store import ReportError
from src import schema
from src.refusal import refusal

# What is compared. What is not given is that of the study of the latest run.
DESIGN = {
    "factor": "setting whose values are compared, such as mc_samples or objective",
    "reference": "value that the others are compared with: max, min or the value itself",
    "margin": "difference that does not matter, in the metric's unit",
    "metric": "metric that is compared, of which less is better",
    "tune": "setting chosen for every value by its validation NLL, such as learning_rate",
}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.report", description=__doc__, formatter_class=raw)
    add_store(parser)
    experiment = "MLflow experiment (default: %(default)s)"
    parser.add_argument("--experiment", default=schema.EXPERIMENT, metavar="NAME", help=experiment)
    parser.add_argument("--sweep", nargs="+", default=[], help="only these: a parent's run id or name, or a sweep")
    for name, text in DESIGN.items():
        parser.add_argument(f"--{name}", type=positive if name == "margin" else str, metavar=name.upper(), help=text)
    parser.add_argument("--covarying", nargs="*", metavar="KEY", help="settings that may vary with the factor")
    watch = "rebuild whenever runs have changed, looking every so many seconds (30), until Ctrl-C"
    parser.add_argument("--watch", nargs="?", type=positive, const=30.0, metavar="SECONDS", help=watch)
    named = "folder of the report, else named after the sweep, the folder that is read, or the experiment"
    parser.add_argument("--name", help=named)
    output = "where reports go (default: %(default)s)"
    parser.add_argument("--output", type=Path, default=Path("reports"), metavar="FOLDER", help=output)
    return parser.parse_args(arguments)


def source(options: argparse.Namespace) -> str:
    """The name of the folder that is read, or of the experiment where it is a store, or several places."""
    place = Path(options.store[0])
    return place.resolve().name if len(options.store) == 1 and place.is_dir() else options.experiment


def positive(text: str) -> float:
    """A margin or a time to wait; anything but a positive finite number is an argparse error."""
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a positive number. Received: {text}. For example 0.5.")


def main(arguments: list[str] | None = None) -> int:
    """Write the report. Returns 0 on success, 2 with one message on stderr where there is nothing to report."""
    options = parse(arguments)
    folder = options.output / slug(options.name or "-".join(options.sweep) or source(options))
    given = {name: value for name in (*DESIGN, "covarying") if (value := getattr(options, name)) is not None}
    question = Question(options.store, options.experiment, options.sweep, given)
    try:
        if options.watch:
            watch(question, folder, options.watch)
        else:
            once(question, folder)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        received = f"{folder} ({error.strerror})"
        print(f"error: {refusal('--output', 'a folder to write to', received, 'Name another one.')}", file=sys.stderr)
        return 2
    return 0


def once(question: Question, folder: Path) -> None:
    """Write the report and print what it says in short."""
    report = show(compute(question))
    written, findings = write(report, folder), report.findings
    for found, setting in zip(findings.by_setting(), report.settings, strict=True):
        print(f"{setting.heading}\n{cells_as_text(found.cells, setting.kind)}\n")
    print(totals(findings.runs), "\nWritten:", *(f"  {path}" for path in written), sep="\n")
    print("", answer_text(findings.decision, findings.runs), sep="\n")


def watch(question: Question, folder: Path, seconds: float) -> None:
    """Write the report whenever the runs have changed, until Ctrl-C. An open page of it loads itself again."""
    report, seen, said = None, None, ""
    with suppress(KeyboardInterrupt):
        while True:
            try:
                tables = read(question)
                if seen is None or len(tables.history) != len(seen.history) or not tables.runs.equals(seen.runs):
                    seen, report = tables, show(compute(question, tables))
                    write(report, folder, refresh=True)
                    found = report.findings
                    print(f"{folder / 'report.html'}: {totals(found.runs)}", flush=True)
                    print(answer_text(found.decision, found.runs), flush=True)
            except ReportError as error:  # a sweep that has just begun has no store, or no run in it
                if str(error) != said:
                    said = str(error)
                    print(f"waiting: {error}", flush=True)
            time.sleep(seconds)
    if report:
        write(report, folder)


if __name__ == "__main__":
    sys.exit(main())
