"""Render the pages of this repository from the studies in results/: python -m analysis.publish

Without NAME: the answer in README.md (from docs/readme_answer.md.j2), every page of docs with a template beside it
(docs/answer.md is docs/answer.md.j2, filled), the page of every study, and docs/figures/answer.png.

With NAME: the folder results/NAME of a study, from the runs of the experiment NAME, which `make results NAME=...` has
trained from sweeps/NAME.yaml: tables, figures, and the page, whose notes are notes.md.j2 of the same folder, filled.
With --store results/NAME it is made again from its own tables.

In a template {{ nats("burda_k/differences level=1 mean") }} writes a difference with its sign, number() and share() any
other value, interval() the interval around it. STUDY/TABLE KEY=VALUE ... COLUMN has as tables differences, matched (at
equal amounts), summary, stability, probe and history.

Exit code: 0; with --check 1 where a page is not as rendered; 2 where something cannot be read or written.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

import matplotlib

from analysis import style
from analysis.publish import answer, study
from analysis.publish.sources import fill, studies
from analysis.report import Question
from analysis.report.writing import add_store
from analysis.store import ReportError
from src import ROOT
from src.refusal import refusal

README = "docs/readme_answer.md.j2"
BEGIN, END = f"<!-- {README} -->\n", f"<!-- end of {README} -->\n"


def pages(root: Path, results: Path) -> Iterator[tuple[Path, str]]:
    """Every page that is rendered, with its text."""
    for template in sorted((root / "docs").rglob("*.md.j2")):
        page = root / "README.md" if template == root / README else template.with_suffix("")
        text = fill(template, results, answer=partial(answer.table, results, page.parent)) + "\n"
        yield page, within(page, text) if template == root / README else text
    for folder, findings in studies(results).items():
        yield folder / "README.md", study.page(folder, study.shown(findings))


def within(page: Path, block: str) -> str:
    """The page with this text between its two lines. Raises ReportError where it lacks them."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ReportError(refusal(page.name, f"a page with the lines {BEGIN + END!r}", page, "Put them there."))
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def write(root: Path, results: Path) -> Iterator[Path]:
    """Write pages and the figure of the answer, and give their files."""
    for page, text in pages(root, results):
        page.write_text(text, encoding="utf-8")
        yield page
    figure = root / "docs" / "figures" / "answer.png"
    with style.applied():
        answer.draw(answer.settings(results)).savefig(figure)
    yield figure


def changes(root: Path, results: Path) -> Iterator[str]:
    """The pages that are not as rendered, or missing, with the first line that differs."""
    for page, text in pages(root, results):
        committed = page.read_text(encoding="utf-8") if page.is_file() else ""
        lines = zip_longest(committed.splitlines(), text.splitlines())
        for number, (found, expected) in enumerate(lines, start=1):
            if found != expected:
                yield f"{page}:{number}: found {found!r}, rendered {expected!r}"
                break


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Render, rebuild or check. Returns the exit code of the module's text."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.publish", description=__doc__, formatter_class=raw)
    parser.add_argument("name", nargs="?", metavar="NAME", help="a study of sweeps/, and the experiment of its runs")
    parser.add_argument("--check", action="store_true", help="write nothing: compare the pages with what is rendered")
    add_store(parser)
    parser.add_argument("--results", type=Path, default=root / "results", metavar="FOLDER", help="where studies lie")
    options = parser.parse_args(arguments)
    matplotlib.use("Agg")
    try:
        if options.name:
            question = Question(options.store, options.name, [])
            print(study.rebuild(options.name, question, options.results))
        elif options.check:
            found = list(changes(root, options.results))
            print(*(found or ["Every page is as rendered."]), sep="\n")
            return int(bool(found))
        else:
            print(*write(root, options.results), sep="\n")
    except (ReportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
