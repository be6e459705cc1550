"""The numbers of a page: its template says where each comes from, and how it is written.

A source is STUDY/TABLE KEY=VALUE ... COLUMN: a folder of results/, one of its tables, what filters its rows down to
one, and the column. STUDY:factor=gradient,reference=reparam/TABLE ... is another comparison of the same runs.
"""

import difflib
import math
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from traceback import extract_tb
from typing import Any

import pandas as pd
from jinja2 import TemplateError

from analysis import decision
from analysis.report import Findings, Question, compute
from analysis.statistics import SETTING
from analysis.store import RUNS_FILE, ReportError
from src.inference import Contrast
from src.refusal import refusal
from src.writing import decimals, render, signed

OPTIONS = ("factor", "reference", "metric", "tune")


def fill(template: Path, results: Path, **more: Any) -> str:
    """A template of a page, with the numbers of the studies in `results`. Raises ReportError with the line at fault."""
    writers = {write.__name__: partial(write, results) for write in (number, nats, share, interval)}
    try:
        return render(template, **writers, **more)
    except (ReportError, TemplateError) as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(template)]
        raise ReportError(f"{template}:{lines[-1] if lines else 1}: {error}") from error


def number(results: Path, source: str, digits: int = 2) -> str:
    """The number of a source, with fixed decimals."""
    return decimals(value(results, source), digits)


def nats(results: Path, source: str, digits: int = 2) -> str:
    """The difference that a source names, with its sign."""
    return signed(value(results, source), digits)


def share(results: Path, source: str, digits: int = 0) -> str:
    """The share that a source names, in per cent."""
    return f"{decimals(100 * value(results, source), digits)} %"


def interval(results: Path, source: str, digits: int = 2) -> str:
    """The interval in the columns COLUMN_low and COLUMN_high: 1.02 to 1.83."""
    return f"{number(results, f'{source}_low', digits)} to {number(results, f'{source}_high', digits)}"


def value(results: Path, source: str) -> float:
    """The value of a source. Raises ReportError where there is none, or several."""
    place, *filters, column = source.split() if " " in source else (source, "")
    study, _, table = place.rpartition("/")  # a metric may have a slash, too
    name, _, options = study.partition(":")
    pick("study", name, [path.parent.name for path in results.glob(f"*/{RUNS_FILE}")], source)
    known = tables(results / name, options)
    rows = known[pick("table", table, known, source)]
    for key, _, text in (each.partition("=") for each in filters):
        values = rows[pick("column", key, rows, source)]
        matches = [same(each, text) for each in values]
        if not any(matches):
            pick(key, text, values.unique(), source)
        rows = rows[matches]
    pick("column", column, rows, source)
    if len(rows) > 1:
        free = [str(key) for key in rows if rows[key].nunique() > 1 and rows[key].dtype.kind not in "f"]
        raise ReportError(refusal("source", "of one row", source, f"It has {len(rows)}. Filter by: {', '.join(free)}."))
    with suppress(TypeError, ValueError):
        if math.isfinite(found := float(rows[column].iloc[0])):
            return found
    raise ReportError(refusal("source", "of a number", source, f"{column} is {rows[column].iloc[0]}."))


def pick(what: str, name: str, known: Iterable[Any], source: str) -> str:
    """The name, where it is known. Raises ReportError with those that are near, or with some."""
    names = [str(each) for each in known]
    if name not in names:
        near = difflib.get_close_matches(name, names) or sorted(names)[:20]
        raise ReportError(refusal(what, f"for example {', '.join(near) or 'none'}", name, f"Mend the source {source}."))
    return name


def same(value: object, text: str) -> bool:
    """Whether a cell of a table is what a filter says: as numbers where both are, else as text."""
    try:
        return float(str(value)) == float(text)
    except ValueError:
        return str(value) == text


def studies(results: Path) -> dict[Path, Findings]:
    """The findings of every study, by its folder."""
    return {file.parent: computed(file.parent) for file in sorted(results.glob(f"*/{RUNS_FILE}"))}


@cache
def computed(folder: Path) -> Findings:
    """The findings of a study from the tables of its folder, computed once in a process."""
    return compute(Question([str(folder)], folder.name, []))


@cache
def tables(folder: Path, options: str) -> dict[str, pd.DataFrame]:
    """The tables of a study, by name; options: of another comparison, as a source has them.

    summary, stability, probe: a row per cell. differences: of the comparison, at the end. matched: the same at equal
    amounts (at=epochs, updates, decoder_evaluations or seconds). history: a row per run and epoch.
    """
    found = computed(folder)
    pairs = [option.partition("=") for option in options.split(",") if option]
    given = {pick("option", key, OPTIONS, options): text for key, _, text in pairs}
    decided = decision.decide(found.runs, found.history, given) if given else found.decision
    settings = found.runs.drop_duplicates(SETTING)[[SETTING, *found.varying]]
    by_setting = {"summary": found.cells, "stability": found.stability, "probe": found.points}
    matched = {axis.key.removeprefix("matched/"): differences(group) for axis, group in decided.matched.items()}
    return {
        **{name: settings.merge(table, "inner", SETTING) for name, table in by_setting.items()},
        "differences": differences(decided.contrasts),
        "matched": pd.concat([table.assign(at=axis) for axis, table in matched.items()], ignore_index=True),
        "history": found.runs[["run_id", *found.varying]].merge(found.history),
    }


def differences(contrasts: list[Contrast]) -> pd.DataFrame:
    """The table of contrasts; mean_low and mean_high are the interval on which the verdict rests."""
    ends = [each.judgement.telling for each in contrasts]
    table = decision.differences(contrasts)
    return table.assign(mean_low=[each.low for each in ends], mean_high=[each.high for each in ends])
