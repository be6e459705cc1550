"""The answer for each group as a card, at any margin; and the tables of the decision."""

from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.decision.numbers import Decision
from analysis.display import Table
from analysis.statistics.amounts import SECONDS
from analysis.store import SEED
from src import inference
from src.inference import Answer, Contrast
from src.schema import Quantity
from src.writing import decimals, render, short, signed, whole

HERE = Path(__file__).parent
HEADS = ("group", "difference of", "n", "mean", "sd", "against the margin", "direction", "verdict", "more")
STEPS, REACH = 30, 10  # of the slider: margins up to so many times smaller and larger than that of the design


class Card(NamedTuple):
    """The answer for one group, what is enough and the remedy as sentences, and its contrasts at equal seconds."""

    answer: Answer
    enough: str
    remedy: str
    timed: Sequence[Contrast]

    @property
    def moving(self) -> dict[str, object]:
        """What of a card depends on the margin, in the order of the page."""
        both = zip(self.answer.contrasts, self.timed, strict=True)
        moves = [[ended.finding, *([timed.finding] if timed.known else [])] for ended, timed in both]
        return {"enough": self.enough, "remedy": self.remedy, "moves": [*chain(*moves)]}


def margins(decision: Decision) -> list[float]:
    """The margins of the slider: two digits each, and that of the design in the middle."""
    if not decision.contrasts:
        return []
    own = decision.contrasts[0].judgement.design.margin
    around = [float(f"{own * factor:.2g}") for factor in np.geomspace(1 / REACH, REACH, STEPS + 1)]
    return sorted({margin for margin in around if margin != own} | {own})


def cards(decision: Decision, runs: pd.DataFrame, margin: float | None = None) -> list[Card]:
    """The answer for each group at a margin, the design's by default. Commands repeat the latest grid of the runs."""
    if not decision.contrasts:
        return []
    design, grids = decision.contrasts[0].judgement.design, runs.sort_values("start_time")["parent_name"].dropna()
    again = partial(inference.command, grids.iloc[-1].split() if len(grids) else ["..."], design, int(runs[SEED].min()))
    ended, timed = (
        [each.judged_by(margin=margin or design.margin) for each in contrasts]
        for contrasts in (decision.contrasts, decision.matched[SECONDS])
    )
    same_time = inference.by_group(timed)
    return [
        Card(each, each.written("enough"), each.written("remedy"), same_time[each.place])
        for each in inference.answers(ended, again)
    ]


def answer_text(decision: Decision, runs: pd.DataFrame) -> str:
    """The answer, for a terminal."""
    return render(inference.ANSWER, answers=[card.answer for card in cards(decision, runs)])


def scope(decision: Decision) -> str:
    """What the answer holds for, and what may change it."""
    forks = {bool(each.group.get("fork.epochs")) for each in decision.contrasts}
    factors = {short(each.judgement.design.factor) for each in decision.contrasts}
    return render(HERE / "scope.txt.j2", forked=True in forks, whole=False in forks, factor=" or ".join(factors))


def verdict_table(contrasts: Sequence[Contrast], title: str) -> Table:
    """Every contrast with its intervals and verdicts."""
    if not contrasts:
        return Table(title, [], [])
    caption = render(HERE / "errors.txt.j2", design=contrasts[0].judgement.design)
    return Table(title, [*HEADS], rows(contrasts), caption)


def matched_table(matched: dict[Quantity, list[Contrast]]) -> Table:
    """The differences at equal epochs, updates, decoder evaluations and seconds."""
    found = [[f"equal {axis.label}", *row] for axis, contrasts in matched.items() for row in rows(contrasts)]
    return Table("At equal amounts of training", ["at", *HEADS], found, render(HERE / "matched.txt.j2"))


def rows(contrasts: Sequence[Contrast]) -> list[list[str]]:
    """A row of HEADS per contrast."""
    return [
        [each.place, " − ".join(each.names), str(judged.pairs.n), signed(judged.pairs.mean, 3),
         decimals(judged.pairs.sd, 3), f"{judged.interval}", f"{judged.directional}", each.finding,
         whole(judged.pairs_needed)]
        for each in contrasts
        for judged in [each.judgement]
    ]  # fmt: skip
