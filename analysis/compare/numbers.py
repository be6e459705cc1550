"""What two studies differ by, and what their pairs of runs prove in each cell.

A cell is K, B and the settings that vary within a study. A setting that is constant in both, but not the same, is what
is compared. The number of pairs is taken as fixed beforehand: the intervals are Student's, at one look.
"""

import math
from bisect import bisect_left
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.decision.numbers import ENDED, as_runs
from analysis.display import labelled
from analysis.statistics import COUNTED, EPOCH_SECONDS, completeness
from analysis.statistics.pairs import MACHINE
from analysis.store import RUN, TAG_PREFIX, ReportError, Tables
from src import schema
from src.inference import Contrast, Design, Verdict, contrasts, judge, opponents, t_interval

STUDY, STUDIES, NUMERICS = "study", ("A", "B"), "numerics"
# A ratio of times is a difference of these.
LOG_SECONDS = "train/log_seconds"
# Of these less is better, by an amount in nats/image.
RECORDED = (*schema.FINAL_METRICS, schema.FINAL_TEST_NLL_QUADRATURE, *schema.EPOCH_METRICS, schema.VALIDATION_NLL)
METRICS = {each.key: each for each in RECORDED if each.unit == schema.FINAL_TEST_NLL.unit}
MOST_PAIRS = 10_000


class Comparison(NamedTuple):
    """What was found. Every contrast is B - A of one cell.

    label: the metric with its unit. differs: what is constant in both studies, but not the same: (in A, in B) by name.
    quality: of the metric. speed: of LOG_SECONDS, of runs on one kind of machine; empty where it is not asked for.
    alone, lost: of A and of B, the runs that ended and have no partner, and those that count and did not end.
    """

    label: str
    differs: dict[str, tuple[str, str]]
    quality: list[Contrast]
    speed: list[Contrast]
    alone: tuple[int, ...]
    lost: tuple[int, ...]


def compare(studies: tuple[Tables, Tables], metric: str, margin: float, slower: float | None) -> Comparison:
    """Compare B, the second study, with A.

    Args:
        metric: of METRICS. margin: the increase that does not matter, in nats/image.
        slower: the ratio of times that does not matter, above 1; None: do not compare them.
    Raises:
        ReportError: no two runs to compare, a metric that was not recorded, or NLLs of two kinds.
    """
    runs = together(studies)
    ended = runs[runs["status"].isin(ENDED)]
    changed = differing(ended)
    check(ended, metric, changed)
    of_runs = as_runs(ended, studies[0].history.head(0))
    plan = Design(margin, metric, None, factor=STUDY, covarying=tuple(changed), reference=STUDIES[0])
    cells = max(1, len(opponents(of_runs, plan)))
    plan = replace(plan, comparisons=cells if slower is None else 2 * cells)
    quality = [once(each) for each in contrasts([replace(run, machine="") for run in of_runs], plan)]
    if not any(each.judgement.pairs.n for each in quality):
        raise ReportError(
            "No run of A has a partner in B. Expected runs of one cell and seed in both. Received "
            f"{'; '.join(f'{name}: {held(ended, name)}' for name in STUDIES)}. Train both over the same cells and "
            "seeds; a setting that varies within a study is part of its cells."
        )
    speed = []
    if slower is not None:
        by_time = replace(plan, metric=LOG_SECONDS, margin=math.log(slower))
        speed = [once(each) for each in contrasts([run for run in of_runs if run.status == schema.FINISHED], by_time)]
    paired = sum(len(each.pairs) for each in quality)
    alone = tuple(int((ended[STUDY] == name).sum()) - paired for name in STUDIES)
    lost = tuple(int((runs.drop(ended.index)[STUDY] == name).sum()) for name in STUDIES)
    kinds = {completeness.nll_kind(mine) for _, mine in ended.groupby("run_id")}
    label = labelled(METRICS[metric], kinds.pop() if len(kinds) == 1 else schema.TRUE_NLL).axis
    return Comparison(label, changed, quality, speed, alone, lost)


def together(studies: tuple[Tables, Tables]) -> pd.DataFrame:
    """The runs that count of both, with the columns STUDY, NUMERICS and LOG_SECONDS."""
    marked = [completeness.mark(tables).assign(**{STUDY: name}) for name, tables in zip(STUDIES, studies, strict=True)]
    runs = pd.concat([each[each[COUNTED]] for each in marked], ignore_index=True)
    # A change may reach the state at the fork too: runs of a seed are pairs all the same.
    runs = runs.drop(columns=schema.FORK_DIGEST.key, errors="ignore")
    seconds = np.log(runs[EPOCH_SECONDS.key].astype(float))
    return runs.assign(**{LOG_SECONDS: seconds, NUMERICS: runs.get(completeness.NUMERICS_TAG)})


def held(runs: pd.DataFrame, study: str) -> str:
    """The values of K, B and seed among the runs of a study."""
    mine = runs[runs[STUDY] == study]
    return ", ".join(f"{key}={' '.join(map(str, sorted(mine[key].unique())))}" for key in RUN)


def differing(runs: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Settings, versions and machines that are constant in A and in B, but not the same: by name, in A and in B."""
    tags = [name for name in runs if str(name).startswith(f"{TAG_PREFIX}version.") or name in MACHINE]
    found = {}
    for name in [*completeness.setting_params(runs), *tags]:
        texts = runs[name].astype("object").where(runs[name].notna(), "none").astype(str)
        a, b = (texts[runs[STUDY] == study].unique() for study in STUDIES)
        if name != STUDY and len(a) == len(b) == 1 and a[0] != b[0]:
            found[str(name).removeprefix(TAG_PREFIX)] = (a[0], b[0])
    return found


def check(runs: pd.DataFrame, metric: str, changed: dict[str, tuple[str, str]]) -> None:
    """Raises ReportError where the studies have no metric in common."""
    if schema.NLL_KIND in changed:
        raise ReportError(
            "NLLs of two kinds cannot be compared. Expected one kind in both studies. Received: "
            f"{' in A, '.join(changed[schema.NLL_KIND])} in B. Train both with the same data.pixels and likelihood."
        )
    known = [key for key in METRICS if key in runs and runs.loc[runs[key].notna(), STUDY].nunique() == len(STUDIES)]
    if metric not in known:
        raise ReportError(
            f"The metric is not recorded in both studies. Expected one of: {', '.join(known) or 'there is none'}. "
            f"Received: --metric {metric}. Choose another one, or finish the runs."
        )


def once(each: Contrast) -> Contrast:
    """The contrast judged at one look at as many pairs as there are, by Student's t."""
    judged, n = each.judgement, each.judgement.pairs.n
    if n < 2:
        return each
    fixed = judge(judged.pairs, replace(judged.design, n0=n, n_max=n))
    return each._replace(judgement=replace(fixed, verdicts=(Verdict.UNDECIDED,)) if each.obstacle else fixed)


def more_pairs(each: Contrast) -> int | None:
    """How many more pairs would decide if mean and sd stay as they are, a plug-in guess; None where none would."""
    judged, pairs = each.judgement, each.judgement.pairs

    def decides(n: int) -> bool:
        low, high = (t_interval(replace(pairs, n=n), judged.alpha / sides) for sides in (2, 1))
        return high.high < judged.design.margin or low.low > judged.design.margin

    if each.obstacle or not pairs.sd > 0 or not decides(MOST_PAIRS):
        return None
    return bisect_left(range(2, MOST_PAIRS), True, key=decides) + 2 - pairs.n
