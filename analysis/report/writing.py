"""The files of the report."""

import base64
import json
import math
import re
import shlex
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

from analysis import charts, decision
from analysis.decision import Card
from analysis.report.sections import Drawing, Findings, Question, Shown, verdicts
from analysis.statistics import SETTING, completeness
from analysis.store import Tables, shareable
from src import schema

HERE = Path(__file__).parent
MOST_BYTES = 400_000  # of the pictures in a page; with Vega's 0.9 MB and the data of the charts it stays below 2 MB
CARD_HEADS = ("", "difference", "interval", "pairs", "at equal epochs", "at equal seconds", "seconds per epoch")

# What an earlier report of the same name may have written for other settings and figures.
STALE = ("summary*.csv", "differences*.csv", "stability*.csv", "probe*.csv", "probe.parquet", "figures/*.[ps][nv]g")


def write(findings: Findings, shown: Shown, folder: Path, refresh: bool = False) -> list[Path]:
    """Write every file of the report, remove those of an earlier one, and return the paths written.

    Raises:
        OSError: the folder cannot be written to.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for stale in [file for pattern in STALE for file in folder.glob(pattern)]:
        stale.unlink()
    written: list[Path] = []

    def new(name: str) -> Path:
        written.append(folder / name)
        return written[-1]

    write_tables(new, findings)
    for stem, drawing in shown.drawings():
        for suffix in ("png", "svg"):
            new(f"figures/{stem}.{suffix}").write_bytes(drawing.files[suffix])
    new("report.md").write_text(markdown(findings, shown), encoding="utf-8")
    new("report.html").write_text(page(findings, shown, refresh), encoding="utf-8")
    return written


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


def words(findings: Findings, shown: Shown) -> dict[str, Any]:
    """What both the page and the Markdown say."""
    question, found = findings.question, findings.decision
    margins = decision.margins(found)
    own = found.contrasts[0].judgement.design.margin if margins else math.nan
    metric = found.contrasts[0].judgement.design.metric if margins else ""
    told = [decision.cards(found, findings.runs, margin) for margin in margins]
    at = margins.index(own) if margins else 0
    return {
        "question": question,
        "period": sorted(set(findings.runs["start_time"].agg(["min", "max"]).dt.strftime("%Y-%m-%d"))),
        "metric": f"Compared by {metric}, {', '.join(sorted({each.kind for each in shown.sections}))}."
        if metric
        else "",
        "unit": schema.FINAL_TEST_NLL.unit if metric == schema.FINAL_TEST_NLL.key else "",
        "margins": margins,
        "chosen": at,
        "cards": told[at] if margins else [],
        "card_heads": CARD_HEADS,
        "answers": [{"margin": m, "cards": [moving(card) for card in c]} for m, c in zip(margins, told, strict=True)],
        "scope": decision.scope(found),
        "shown": shown,
        "named": shown.named,
        "command": shlex.join(["python", "-m", "analysis.report", *asked(question)]),
    }


def moving(card: Card) -> dict[str, Any]:
    """What of a card depends on the margin, in the order of the page."""
    moves = [text for line in card.lines for text in (line.verdict, line.at_equal_seconds)]
    return {"enough": card.enough, "remedy": card.remedy, "moves": moves}


def asked(question: Question) -> list[str]:
    """The options that ask this question again, at a store of one's own."""
    options = {"experiment": question.experiment, "threshold": question.threshold, **question.design}
    several = {"sweep": question.sweeps, "covarying": options.pop("covarying", [])}
    given = [[f"--{name}", str(value)] for name, value in options.items() if value is not None]
    given += [[f"--{name}", *values] for name, values in several.items() if values]
    return [word for words in given for word in words]


def page(findings: Findings, shown: Shown, refresh: bool = False) -> str:
    """The page: one HTML file, with its figures and their JavaScript inside it and no request to anywhere."""
    own = {name: (HERE / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    vega = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # without a snippet: the bundle alone
    hashes = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in (vega, own["js"])]
    room = [MOST_BYTES]

    def source(stem: str, drawing: Drawing) -> Markup:
        """The picture where the page cannot draw: inside it while there is room, else the file beside it."""
        content = base64.b64encode(drawing.files["webp"]).decode()
        room[0] -= len(content)
        return Markup(f"data:image/webp;base64,{content}" if room[0] >= 0 else f"figures/{stem}.png")

    return (
        environment(autoescape=True)
        .get_template("page.html.j2")
        .render(
            words(findings, shown),
            tables=verdicts(findings.decision),
            methods=(HERE / "methods.txt").read_text(encoding="utf-8").splitlines(),
            pseudo_nll=schema.PSEUDO_NLL,
            style=Markup(own["css"]),
            script=Markup(own["js"]),
            vega=Markup(vega),
            script_hashes=Markup(" ".join(f"'sha256-{digest}'" for digest in hashes)),
            json=lambda value: Markup(json.dumps(value, separators=(",", ":")).replace("</", "<\\/")),
            source=source,
            legend=charts.legend,
            short=lambda caption: re.split(r"[:;.]", caption)[0],
            refresh=refresh,
        )
    )


def markdown(findings: Findings, shown: Shown) -> str:
    """The answer, figures and main tables as Markdown, with the figures' files beside it."""

    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"

    return environment(autoescape=False).get_template("report.md.j2").render(words(findings, shown), row=row)


def environment(autoescape: bool) -> jinja2.Environment:
    """The templates of this folder."""
    loader = jinja2.FileSystemLoader(HERE)
    return jinja2.Environment(loader=loader, autoescape=autoescape, trim_blocks=True, lstrip_blocks=True)


def slug(name: str) -> str:
    """A name with only characters that are safe in a file's name."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "report"
