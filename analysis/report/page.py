"""The page and its Markdown: what is shown, put into the templates of this folder."""

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

from analysis import decision
from analysis.report.sections import Findings, Question, Shown, decision_tables
from analysis.statistics.completeness import nll_kind
from src import inference, schema
from src.writing import render

HERE = Path(__file__).parent
MOST_BYTES = 350_000  # of the pictures in a page; with Vega's 0.9 MB and the data of the charts it stays below 2 MB
SCREEN, QUALITY = 2 / 3, 50  # of the files' size, and of WebP
CARD_HEADS = ("", "difference", "interval", "pairs", "at the end", "at equal seconds", "seconds per epoch")


def words(findings: Findings, shown: Shown) -> dict[str, Any]:
    """What both the page and the Markdown say."""
    found, runs = findings.decision, findings.runs
    metric = found.contrasts[0].judgement.design.metric if found.contrasts else ""
    return {
        "question": findings.question,
        "period": sorted(set(runs["start_time"].agg(["min", "max"]).dt.strftime("%Y-%m-%d"))),
        "metric": metric,
        "unit": inference.UNITS.get(metric, ""),
        "kinds": sorted({nll_kind(each.runs) for each in findings.by_setting()}),
        "cards": decision.cards(found, runs),
        "card_heads": CARD_HEADS,
        "scope": decision.scope(found),
        "shown": shown,
        "named": shown.named,
        "command": shlex.join(["python", "-m", "analysis.report", *asked(findings.question)]),
    }


def asked(question: Question) -> list[str]:
    """The options that ask this question again, at a store of one's own."""
    options = {"experiment": question.experiment, **question.design}
    several = {"sweep": question.sweeps, "covarying": options.pop("covarying", [])}
    given = [[f"--{name}", str(value)] for name, value in options.items() if value is not None]
    given += [[f"--{name}", *values] for name, values in several.items() if values]
    return [word for words in given for word in words]


def page(findings: Findings, shown: Shown, refresh: bool = False) -> str:
    """One HTML file, with its figures and their JavaScript in it and no request to anywhere."""
    found = findings.decision
    own = {name: (HERE / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    vega = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # without a snippet: the bundle alone
    hashes = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in (vega, own["js"])]
    told = {margin: decision.cards(found, findings.runs, margin) for margin in decision.margins(found)}
    return render(
        HERE / "page.html.j2",
        **words(findings, shown),
        own_margin=found.contrasts[0].judgement.design.margin if told else math.nan,
        margins=[{"margin": margin, "cards": [card.moving for card in cards]} for margin, cards in told.items()],
        tables=decision_tables(found),
        pseudo_nll=schema.PSEUDO_NLL,
        style=Markup(own["css"]),
        script=Markup(own["js"]),
        vega=Markup(vega),
        script_hashes=Markup(" ".join(f"'sha256-{digest}'" for digest in hashes)),
        json=lambda value: Markup(json.dumps(value, separators=(",", ":")).replace("</", "<\\/")),
        pictures=screen_pictures({stem: drawing.files["png"] for stem, drawing in shown.drawings()}),
        refresh=refresh,
    )


def screen_pictures(files: Mapping[str, bytes], most: int = MOST_BYTES) -> dict[str, str]:
    """The PNG files as WebP in base64, for a page that cannot draw; smaller where together they take more bytes."""

    def small(content: bytes, scale: float) -> str:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(content)) as image:
            size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(buffer, "webp", quality=QUALITY)
        return base64.b64encode(buffer.getvalue()).decode()

    made = {stem: small(content, SCREEN) for stem, content in files.items()}
    if (total := sum(map(len, made.values()))) > most:
        # Bytes grow with the area, a little less where it is small.
        made = {stem: small(content, SCREEN * 0.9 * math.sqrt(most / total)) for stem, content in files.items()}
    return made


def markdown(said: dict[str, Any], template: str = "report.md.j2") -> str:
    """What words() says, as Markdown by a template of this folder, with the figures' files beside it."""
    return render(HERE / template, **said)
