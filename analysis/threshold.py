"""How soon runs reach a given test NLL: epochs, seconds and decoder evaluations, with those that never do.

A run that ended short of the threshold is right-censored, not dropped: averaging over the runs that arrived would
reward cells of which only the lucky seeds do.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.statistics import finished
from analysis.tidy import CELL, SETTING
from src import schema
from src.schema import Quantity

THRESHOLD = Quantity("threshold/test_nll", "", "nats/image", "threshold of the test NLL")
TO_EPOCHS = Quantity("threshold/epochs", "", "", "epochs")
TO_SECONDS = Quantity("threshold/seconds", "", "s", "training time")
TO_EVALUATIONS = Quantity("threshold/decoder_evaluations", "", "", "decoder evaluations")
AXES = (TO_EPOCHS, TO_SECONDS, TO_EVALUATIONS)
REACHED, AT_RISK, CUT_SHORT = "threshold/reached", "threshold/n", "threshold/cut_short"
ENDED = "ended"


def default_thresholds(runs: pd.DataFrame) -> dict[int, float]:
    """Per setting the worst cell's median test NLL at the last epoch, over finished seeds, rounded up to 0.01.

    At least half of every cell's finished runs are there by the end, so every cell has a median time, but for those
    that diverge. It is chosen after seeing the runs. In nats/image; no entry where no finished run has a finite one.
    """
    usable = finished(runs)
    if schema.TEST_NLL.key not in usable:
        return {}
    medians = usable.groupby([SETTING, *CELL])[schema.TEST_NLL.key].median()
    worst = medians[np.isfinite(medians)].groupby(SETTING).max()
    return dict(zip(worst.index.astype(int), map(rounded_up, worst), strict=True))


def rounded_up(value: float) -> float:
    """To 0.01, as it is printed."""
    return math.ceil(value * 100 - 1e-9) / 100


def reached(epochs: pd.DataFrame, evaluations: float, diverged: bool, threshold: float) -> dict[str, float]:
    """AXES up to the first epoch whose test NLL is at most the threshold, and whether there was one (REACHED).

    Args:
        epochs: a run's history, in order: epoch, test/nll, train/seconds.
        evaluations: decoder evaluations of an epoch of training, N K.
        diverged: whether the run ended so.
        threshold: nats/image; nan for none.
    Returns:
        Where there was no such epoch the run's whole length, at which it is censored; infinite where it diverged, as
        it will never arrive.
    """
    hits = np.flatnonzero(epochs[schema.TEST_NLL.key].to_numpy(dtype=float) <= threshold)
    passed = epochs.iloc[: hits[0] + 1 if hits.size else len(epochs)]
    last = float(passed[schema.EPOCH.key].max()) if len(passed) else 0.0
    seconds = float(passed[schema.TRAIN_SECONDS.key].sum(skipna=False))
    never = diverged and not hits.size
    lengths = [math.inf] * 3 if never else [last, seconds, last * evaluations]
    found = {axis.key: length for axis, length in zip(AXES, lengths, strict=True)}
    return {THRESHOLD.key: threshold, REACHED: float(hits.size > 0), **found}


def kaplan_meier_median(times: ArrayLike, events: ArrayLike) -> float:
    """The time by which half of the runs have arrived, the first t with S(t) <= 1/2.

        S(t) = prod_{t_j <= t} (1 - d_j / n_j),   d_j arrivals at t_j among the n_j runs still under way

    Args:
        times: of arrival, or of censoring, from which on a run is not seen, [n]. Infinite: will never arrive.
        events: whether a run arrived, [n]. At equal times arrivals come before censoring.
    Returns:
        inf where half is not reached, nan without runs or with an unknown time. Without censoring the lower median.
    Source: Kaplan and Meier (1958), Journal of the American Statistical Association 53, 457.
    """
    ends, arrived = np.asarray(times, dtype=float), np.asarray(events, dtype=bool)
    if ends.size == 0 or np.isnan(ends).any():
        return math.nan
    still = 1.0
    for time in np.unique(ends[arrived]):
        still *= 1 - np.sum(arrived & (ends == time)) / np.sum(ends >= time)
        if still <= 0.5 + 1e-12:
            return float(time)
    return math.inf


def time_to_threshold(measured: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Per group the threshold, how many of how many runs reached it, and how soon.

    Args:
        measured: one row per run: by, ended (finished or diverged), and the columns of reached().
        by: columns of the groups.
    Returns:
        threshold/test_nll, threshold/n (runs with a record, or diverged), threshold/reached, threshold/cut_short
        (failed, killed or running before, so censored where their record ends), and for each of AXES KEY_median
        (Kaplan-Meier over all n; inf: not reached by half) and KEY_first, the earliest.
    """
    known = measured[measured[THRESHOLD.key].notna() & (measured[TO_EPOCHS.key] > 0)]
    rows = []
    for key, group in known.groupby(list(by)):
        arrived = group[REACHED] > 0
        row = {**dict(zip(by, key, strict=True)), THRESHOLD.key: group[THRESHOLD.key].iloc[0]}
        row |= {AT_RISK: len(group), REACHED: int(arrived.sum()), CUT_SHORT: int((~arrived & ~group[ENDED]).sum())}
        for axis in AXES:
            row[f"{axis.key}_median"] = kaplan_meier_median(group[axis.key], arrived)
            row[f"{axis.key}_first"] = group.loc[arrived, axis.key].min()
        rows.append(row)
    ends = [f"{axis.key}_{end}" for axis in AXES for end in ("median", "first")]
    return pd.DataFrame(rows, columns=[*by, THRESHOLD.key, AT_RISK, REACHED, CUT_SHORT, *ends])
