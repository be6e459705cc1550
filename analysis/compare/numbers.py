"""What two studies differ by, and what their pairs of runs prove in each cell.

A cell is K, B and the settings that vary within a study. A setting that is constant in both, but not the same, is what
is compared. The number of pairs is taken as fixed beforehand: the intervals are Student's, at one look.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.decision.numbers import ENDED, as_runs
from analysis.statistics import COUNTED, EPOCH_SECONDS, completeness
from analysis.store import TAG_PREFIX, ReportError, Tables
from src import schema
from src.inference import MACHINE, Contrast, Design, Run, Verdict, contrasts, fewest, judge, labels, naming, opponents

STUDY, STUDIES = "study", ("A", "B")
# A ratio of times is a difference of these.
LOG_SECONDS = "train/log_seconds"
MOST_PAIRS = 10_000
# The verdicts that answer whether B is worse by the margin.
ANSWERS = (Verdict.WORSE_BY_MARGIN, Verdict.NOT_WORSE)


class Comparison(NamedTuple):
    """What was found. Every contrast is B - A of one cell.

    differs: what is constant in both studies, but not the same: (in A, in B) by name.
    quality: of the metric. speed: of LOG_SECONDS, of runs on one kind of machine; empty where it is not asked for.
    alone, lost: of A and of B, the runs that ended and have no partner, and those that count and did not end.
    """

    differs: dict[str, tuple[str, str]]
    quality: list[Contrast]
    speed: list[Contrast]
    alone: tuple[int, ...]
    lost: tuple[int, ...]

    def answered(self, verdict: Verdict) -> list[Contrast]:
        """The contrasts that answer whether B is worse by the margin in this way."""
        return [each for each in (*self.quality, *self.speed) if answer(each) == verdict]


def answer(each: Contrast) -> Verdict:
    """The one of its verdicts that answers whether B is worse by the margin."""
    return next((verdict for verdict in ANSWERS if each.judgement.proves(verdict)), Verdict.UNDECIDED)


def compare(studies: tuple[Tables, Tables], metric: str, margin: float, slower: float | None) -> Comparison:
    """Compare B, the second study, with A.

    Args:
        metric: of which less is better. margin: the increase that does not matter, in its unit.
        slower: the ratio of times that does not matter, above 1; None: do not compare them.
    Raises:
        ReportError: no two runs to compare.
    """
    marked = [completeness.mark(tables).assign(**{STUDY: name}) for name, tables in zip(STUDIES, studies, strict=True)]
    runs = completeness.with_known_data(pd.concat([each[each[COUNTED]] for each in marked], ignore_index=True))
    runs[LOG_SECONDS] = np.log(runs[EPOCH_SECONDS.key].astype(float))
    runs["numerics"] = runs.get(completeness.NUMERICS_TAG)
    ended = runs[runs["status"].isin(ENDED)]
    changed = differing(ended)
    # What is compared may change the state at the fork: runs of a seed are pairs all the same.
    of_runs = as_runs(ended.drop(columns=schema.FORK_DIGEST.key, errors="ignore"))
    free = tuple(changed.keys() - {schema.NLL_KIND, schema.DATA_DIGEST})  # NLLs of two kinds or data are not compared
    plan = Design(margin, metric, None, factor=STUDY, covarying=free, reference=STUDIES[0])
    cells = max(1, len(opponents(of_runs, plan)))
    plan = replace(plan, comparisons=cells if slower is None else 2 * cells)
    quality = judged_once([replace(run, tags={}) for run in of_runs], plan)
    counts = {name: int((ended[STUDY] == name).sum()) for name in STUDIES}
    if not any(each.judgement.pairs.n for each in quality):
        known = "; ".join(["", *({each.note for each in quality} - {""})])
        raise ReportError(
            "No run of A has a partner in B. Expected ended runs of one cell, seed and kind of NLL in both. Received "
            f"{counts['A']} and {counts['B']} runs{known}. Constant, but not the same: "
            f"{', '.join(changed) or 'nothing'}. Train both over the same K, B, seeds and settings that vary."
        )
    speed = []
    if slower is not None:
        by_time = replace(plan, metric=LOG_SECONDS, margin=math.log(slower))
        speed = judged_once([run for run in of_runs if run.status == schema.FINISHED], by_time)
    paired = sum(len(each.pairs) for each in quality)
    alone = tuple(counts[name] - paired for name in STUDIES)
    lost = tuple(int((runs.drop(ended.index)[STUDY] == name).sum()) for name in STUDIES)
    return Comparison(changed, quality, speed, alone, lost)


def differing(runs: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Settings, versions and machines that are constant in A and in B, but not the same: by name, in A and in B."""
    recorded = [str(name).removeprefix(TAG_PREFIX) for name in runs if str(name).startswith(TAG_PREFIX)]
    tags = [f"{TAG_PREFIX}{tag}" for tag in recorded if tag.startswith("version.") or tag in MACHINE]
    found = {}
    for name in [*completeness.setting_params(runs), *tags]:
        texts = runs[name].astype("object").where(runs[name].notna(), "none").astype(str)
        a, b = (texts[runs[STUDY] == study].unique() for study in STUDIES)
        if name != STUDY and len(a) == len(b) == 1 and a[0] != b[0]:
            found[str(name).removeprefix(TAG_PREFIX)] = (a[0], b[0])
    return found


def judged_once(runs: list[Run], design: Design) -> list[Contrast]:
    """Every cell, named by what tells it from the others, judged by Student's t at one look at the pairs there are."""
    found = contrasts(runs, design)
    keys = naming([each.group for each in found])
    named = [each._replace(place=labels(each.group, keys)) for each in found]
    return [each.judged_by(n0=n, n_max=n) if (n := each.judgement.pairs.n) > 1 else each for each in named]


def more_pairs(each: Contrast) -> int | None:
    """How many more pairs would decide if mean and sd stay as they are, a plug-in guess; None where none would."""
    pairs, design = each.judgement.pairs, each.judgement.design

    def decides(n: int) -> bool:
        judged = judge(replace(pairs, n=n), replace(design, n0=n, n_max=n), each.judgement.bias)
        return any(map(judged.proves, ANSWERS))

    needed = fewest(decides, 2, MOST_PAIRS) if pairs.sd > 0 and not each.obstacle else None
    return None if needed is None else needed - pairs.n
