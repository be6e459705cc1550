"""Check the numbers of the docs against the studies that they come from: python -m analysis.check

A number carries its source directly behind it, in a comment that a reader of the page does not see:
0.05<!-- = post_forked/differences level=5 mean -->. STUDY/TABLE KEY=VALUE ... COLUMN: a folder under results/, one of
the tables that the report computes (summary, stability, differences, matched, probe) or history, what filters its rows
down to one, and the column that is compared, after rounding to the decimals that are written. A number with % is a
share. matched has the differences at equal amounts: at=epochs, updates, decoder_evaluations or seconds; history has a
row per run and epoch. Another comparison of the same runs than the study's own:
STUDY:factor=gradient,reference=reparam/TABLE ...

With --fix the numbers that are not what their source says are written anew, with as many decimals and, where they had
one, with their sign; the words around them are yours to read again. A new number may be written as 0.00.

Exit code: 0 all agree, or are fixed; 1 a number is not what its source says; 2 a source cannot be found.
"""

import argparse
import difflib
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from src import schema

if TYPE_CHECKING:
    import pandas as pd

COMMENT = re.compile(r"<!-- =(.*?)-->", re.DOTALL)
NUMBER = re.compile(r"(?:(?<!\w)[-−+])?\d[\d,]*(?:\.\d+)?(?: ?%)?$")
SOURCE = re.compile(r"([\w.-]+(?::[^\s=]+=\S+)?)/(\w+)((?: [^\s=]+=\S+)*) ([^\s=]+)")
OPTIONS = ("factor", "reference", "metric", "tune")
FORM = "a number with STUDY/TABLE KEY=VALUE ... COLUMN directly behind it"


class Marked(NamedTuple):
    """A number, "" for none, where it ends in the file's text, and where it says that it comes from."""

    file: Path
    line: int
    number: str
    end: int
    source: str


class SourceError(Exception):
    """What a source names does not exist. The message says what does."""


def marked(file: Path) -> Iterator[Marked]:
    """The marked numbers of a file."""
    text = file.read_text(encoding="utf-8")
    for comment in COMMENT.finditer(text):
        number = NUMBER.search(text, text.rfind("\n", 0, comment.start()) + 1, comment.start())
        line = text.count("\n", 0, comment.start()) + 1
        yield Marked(file, line, number[0] if number else "", comment.start(), " ".join(comment[1].split()))


def tables(results: Path, study: str) -> "dict[str, pd.DataFrame]":
    """The tables of a study, computed from its runs and histories, with what follows its name after a colon as options
    of the comparison. Raises SourceError where it has none.
    """
    study, _, options = study.partition(":")
    given = [option.partition("=") for option in options.split(",") if option]
    design = {pick("option", key, OPTIONS): value for key, _, value in given}
    pick("study", study, [path.parent.name for path in results.glob("*/runs.parquet")])
    # Imported late: it takes seconds, for which docs without a marked number need not wait.
    import pandas as pd

    from analysis import decision
    from analysis.report import Question, compute
    from analysis.statistics import SETTING
    from analysis.store import ReportError

    try:
        found = compute(Question([str(results / study)], schema.EXPERIMENT, [], design=design))
    except ReportError as error:
        raise SourceError(str(error)) from error
    settings = found.runs.drop_duplicates(SETTING)[[SETTING, *found.varying]]
    by_setting = {"summary": found.cells, "stability": found.stability, "probe": found.points}
    named = {name: settings.merge(table, "inner", SETTING) for name, table in by_setting.items()}
    matched = [
        decision.differences(contrasts).assign(at=axis.key.removeprefix("matched/"))
        for axis, contrasts in found.decision.matched.items()
    ]
    ended = decision.differences(found.decision.contrasts)
    history = found.runs[["run_id", *found.varying]].merge(found.history)
    return {**named, "differences": ended, "matched": pd.concat(matched, ignore_index=True), "history": history}


def pick(what: str, name: str, known: Iterable[Any]) -> str:
    """The name, where it is known. Raises SourceError with those that are close, or all."""
    names = [str(each) for each in known]
    if name not in names:
        near = difflib.get_close_matches(name, names) or sorted(names)[:20]
        raise SourceError(f"There is no {what} {name!r}. Expected for example: {', '.join(near) or 'there is none'}.")
    return name


def look_up(source: str, read: "Callable[[str], dict[str, pd.DataFrame]]") -> float:
    """The value that a source names; read: study -> its tables. Raises SourceError where there is none, or several."""
    parts = SOURCE.fullmatch(source)
    if parts is None:
        raise SourceError(f"Expected {FORM}. Received: {source}.")
    found = read(parts[1])
    rows = found[pick("table", parts[2], found)]
    for key, text in (word.split("=", 1) for word in parts[3].split()):
        values = rows[pick("column", key, rows)]
        rows = rows[[same(value, text) for value in values]]
        if rows.empty:
            raise SourceError(f"No row has {key}={text}. Expected one of: {', '.join(map(str, values.unique()))}.")
    column = rows[pick("column", parts[4], rows)]
    if len(rows) > 1:
        free = [str(key) for key in rows if rows[key].nunique() > 1 and rows[key].dtype.kind not in "f"]
        raise SourceError(f"{len(rows)} rows match. Expected one. Filter by: {', '.join(free) or 'there is no key'}.")
    with suppress(TypeError, ValueError):
        if math.isfinite(value := float(column.iloc[0])):
            return value
    raise SourceError(f"{parts[4]} is no number. Received: {column.iloc[0]}.")


def same(value: object, text: str) -> bool:
    """Whether a cell of a table is what a filter says: as numbers where both are, else as text."""
    try:
        return float(str(value)) == float(text)
    except ValueError:
        return str(value) == text


def agrees(number: str, value: float) -> bool:
    """Whether a value, rounded to the decimals of the written number, is that number; at a tie to either side."""
    written = Decimal(number.rstrip(" %").replace(",", "").replace("−", "-"))
    error = written - Decimal(repr(value)) * (100 if number.endswith("%") else 1)
    return error.is_finite() and abs(error) <= Decimal(5).scaleb(int(written.as_tuple().exponent) - 1)


def corrected(number: str, value: float) -> str:
    """A value in the form of a written number."""
    from src.writing import decimals

    digits = number.rstrip(" %")
    sign = "+" if number.startswith("+") and value >= 0 else ""
    text = decimals(value * (100 if number.endswith("%") else 1), len(digits.partition(".")[2]))
    return sign + text + number[len(digits) :]


def fix(stale: Iterable[tuple[Marked, float]]) -> None:
    """Write these values in place of these numbers, which are in the order of their files."""
    for file, found in groupby(stale, key=lambda pair: pair[0].file):
        text = file.read_text(encoding="utf-8")
        for each, value in reversed([*found]):  # the last first, so that the other places stay true
            text = text[: each.end - len(each.number)] + corrected(each.number, value) + text[each.end :]
        file.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Check, print what does not agree, and return the exit code of the module's text."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.check", description=__doc__, formatter_class=style)
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="default: README.md and those of docs and results"
    )
    parser.add_argument("--fix", action="store_true", help="write the values in place of numbers that differ")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="FOLDER", help="where studies lie")
    options = parser.parse_args(arguments)
    files = options.files or [Path("README.md"), *sorted([*Path("docs").rglob("*.md"), *options.results.rglob("*.md")])]
    if lost := [file for file in files if not file.is_file()]:
        parser.error(f"there is no file {lost[0]}. Run it in the repository's root, or name Markdown files.")
    numbers = [each for file in files for each in marked(file)]
    read, stale, code = cache(partial(tables, options.results)), [], 0
    for each in numbers:
        try:
            if not each.number:
                raise SourceError(f"No number stands before it. Expected {FORM}.")
            value = look_up(each.source, read)
            if not agrees(each.number, value):
                print(f"{each.file}:{each.line}: written {each.number}, found {value:.6g}: {each.source}")
                stale.append((each, value))
        except SourceError as error:
            print(f"{each.file}:{each.line}: {each.source}: {error}")
            code = 2
    if options.fix:
        fix(stale)
    elif stale:
        code = max(code, 1)
    holding = {each.file for each in numbers}
    print(f"numbers checked: {len(numbers)}, in files: {len(holding)}" if numbers else "no number carries a source")
    return code


if __name__ == "__main__":
    sys.exit(main())
