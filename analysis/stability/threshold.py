"""How soon runs reach a given test NLL: epochs, seconds and decoder evaluations.

A run that ended short of the threshold is right-censored, not dropped: an average over the runs that arrived would be
too low in cells where only some seeds arrive.
"""

import math

import numpy as np
import pandas as pd

from analysis.statistics import CELL_OF, SETTING, finished, intervals
from analysis.store import EPOCH
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

    At least half of every cell's finished runs reach it, so every cell has a median time unless runs of it diverge.
    It is chosen after seeing the runs. In nats/image; no entry for a setting without a finite median.
    """
    usable = finished(runs)
    if schema.TEST_NLL.key not in usable:
        return {}
    medians = usable.groupby(CELL_OF)[schema.TEST_NLL.key].median()
    worst = medians[np.isfinite(medians)].groupby(SETTING).max()
    # To 0.01, as it is printed; the small term keeps a value that is already so in binary rounding.
    return {int(setting): math.ceil(value * 100 - 1e-9) / 100 for setting, value in worst.items()}


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
    last = float(passed[EPOCH].max()) if len(passed) else 0.0
    seconds = float(passed[schema.TRAIN_SECONDS.key].sum(skipna=False))
    never = diverged and not hits.size
    lengths = [math.inf] * 3 if never else [last, seconds, last * evaluations]
    found = {axis.key: length for axis, length in zip(AXES, lengths, strict=True)}
    return {THRESHOLD.key: threshold, REACHED: float(hits.size > 0), **found}


def time_to_threshold(measured: pd.DataFrame) -> pd.DataFrame:
    """Per cell the threshold, how many of how many runs reached it, and how soon.

    Args:
        measured: one row per run: its cell, ended (finished or diverged), and the columns of reached().
    Returns:
        threshold/test_nll, threshold/n (runs with a record, or diverged), threshold/reached, threshold/cut_short
        (failed, killed or running before, so censored where their record ends), and for each of AXES KEY_median
        (Kaplan-Meier over all n; inf: not reached by half) and KEY_first, the earliest.
    """
    known = measured[measured[THRESHOLD.key].notna() & (measured[TO_EPOCHS.key] > 0)]
    rows = []
    for key, group in known.groupby(CELL_OF):
        arrived = group[REACHED] > 0
        row = {**dict(zip(CELL_OF, key, strict=True)), THRESHOLD.key: group[THRESHOLD.key].iloc[0]}
        row |= {AT_RISK: len(group), REACHED: int(arrived.sum()), CUT_SHORT: int((~arrived & ~group[ENDED]).sum())}
        for axis in AXES:
            row[f"{axis.key}_median"] = intervals.kaplan_meier_median(group[axis.key], arrived)
            row[f"{axis.key}_first"] = group.loc[arrived, axis.key].min()
        rows.append(row)
    ends = [f"{axis.key}_{end}" for axis in AXES for end in ("median", "first")]
    return pd.DataFrame(rows, columns=[*CELL_OF, THRESHOLD.key, AT_RISK, REACHED, CUT_SHORT, *ends])
