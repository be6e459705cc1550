"""The page and its Markdown: a report, put into the templates of this folder."""

import base64
import io
import json
import math
import shlex
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import vl_convert
from markupsafe import Markup
from PIL import Image

from analysis import charts, decision
from analysis.display import Table
from analysis.report.findings import Findings, Question
from analysis.report.runs import lost_table, totals
from analysis.report.sections import Report
from analysis.statistics.completeness import nll_kind
from src import inference, schema
from src.writing import render

HERE = Path(__file__).parent
MOST_BYTES = 350_000  # of the pictures in a page; with Vega's 0.9 MB and the data of the charts it stays below 2 MB
SCREEN, QUALITY = 0.6, 50  # of the files' size, and of WebP
CARD_HEADS = ("", "difference", "interval", "pairs", "at the end", "at equal seconds", "seconds per epoch")


def shared(report: Report) -> dict[str, Any]:
    """What both templates get."""
    findings = report.findings
    return {
        "report": report,
        "question": findings.question,
        "period": sorted(set(findings.runs["start_time"].agg(["min", "max"]).dt.strftime("%Y-%m-%d"))),
        "kinds": sorted({nll_kind(each.runs) for each in findings.by_setting()}),
        "metric": next((each.judgement.design.metric for each in findings.decision.contrasts), ""),
        "cards": decision.cards(findings.decision, findings.runs),
        "card_heads": CARD_HEADS,
        "scope": decision.scope(findings.decision),
        "totals": totals(findings.runs),
        "command": shlex.join(["python", "-m", "analysis.report", *asked(findings.question)]),
    }


def asked(question: Question) -> list[str]:
    """The options that ask this question again, at a store of one's own."""
    options = {"experiment": question.experiment, **question.design}
    several = {"sweep": question.sweeps, "covarying": options.pop("covarying", [])}
    given = [[f"--{name}", str(value)] for name, value in options.items() if value is not None]
    given += [[f"--{name}", *values] for name, values in several.items() if values]
    return [word for words in given for word in words]


def page(report: Report, refresh: bool = False) -> str:
    """One HTML file, with its figures and their JavaScript in it and no request to anywhere."""
    said, findings = shared(report), report.findings
    own = {name: (HERE / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    vega = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # without a snippet: the bundle alone
    hashes = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in (vega, own["js"])]
    return render(
        HERE / "page.html.j2",
        **said,
        moving=moving(findings),
        unit=inference.UNITS.get(said["metric"], ""),
        decision_tables=verdicts(findings),
        lost=lost_table(findings.runs),
        schema=schema,
        style=Markup(own["css"]),
        script=Markup(own["js"]),
        vega=Markup(vega),
        script_hashes=Markup(" ".join(f"'sha256-{digest}'" for digest in hashes)),
        json=lambda value: Markup(json.dumps(value, separators=(",", ":")).replace("</", "<\\/")),
        static=screen_pictures(report.files),
        specification=charts.specification,
        refresh=refresh,
    )


def moving(findings: Findings) -> list[dict[str, Any]]:
    """What of the cards depends on the margin, for each margin of the slider."""
    return [
        {"margin": margin, "cards": [card.moving for card in decision.cards(findings.decision, findings.runs, margin)]}
        for margin in decision.margins(findings.decision)
    ]


def verdicts(findings: Findings) -> list[Table]:
    """The tables that the answer rests on."""
    found = findings.decision
    tables = [decision.verdict_table(found.contrasts, "The decision"), decision.matched_table(found.matched)]
    return [*tables, decision.verdict_table(found.untuned, "The same without tuning")]


def screen_pictures(files: Mapping[str, Mapping[str, bytes]], most: int = MOST_BYTES) -> dict[str, str]:
    """The PNG files as WebP in base64, for a page that cannot draw; smaller where together they take more bytes."""

    def small(content: bytes, scale: float) -> str:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(content)) as image:
            size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(buffer, "webp", quality=QUALITY)
        return base64.b64encode(buffer.getvalue()).decode()

    scale, total = SCREEN, math.inf
    while total > most:
        made = {name: small(file["png"], scale) for name, file in files.items()}
        total = sum(map(len, made.values()))
        # Bytes grow with the area, a little less where it is small.
        scale *= 0.9 * math.sqrt(most / max(total, 1))
    return made


def markdown(said: Mapping[str, Any], template: Path = HERE / "report.md.j2") -> str:
    """The report as Markdown, with the figures' files beside it."""
    return render(template, **said)
