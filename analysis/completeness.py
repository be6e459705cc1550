"""Which runs stand for which cell, and what a grid lacks: failed, diverged, killed and missing runs are counted.

A setting is everything that two runs share apart from K, B and seed; only runs of one setting are ever averaged.
A cell is a (K, B) of a setting, and its seeds are the repetitions.
"""

import numpy as np
import pandas as pd

from analysis.tidy import CELL, COUNTED, RUN, SETTING, STATUSES, ReportError, param_columns
from src import schema

# Recorded numbers changed between its values, so their runs are not averaged.
NUMERICS_TAG = "tags.numerics"


def select_sweeps(runs: pd.DataFrame, sweeps: list[str]) -> pd.DataFrame:
    """The runs of the named sweeps: by the parent's run id, its name, or the sweep tag; all where none is named.

    Raises:
        ReportError: a sweep that no run belongs to.
    """
    if not sweeps:
        return runs
    names = runs[["parent_id", "parent_name", "sweep"]]
    for sweep in sweeps:
        if not (names == sweep).any(axis=None):
            known = sorted({str(name) for column in names for name in names[column].dropna()})
            raise ReportError(
                f"No run belongs to the sweep {sweep!r}. Expected a parent run's id or name, or a sweep's name: "
                f"{', '.join(known) or 'there are none'}. Received: --sweep {sweep}. Leave --sweep out for all runs."
            )
    return runs[names.isin(sweeps).any(axis=1)].reset_index(drop=True)


def mark(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with two more columns: setting (1, 2, ...) and counted.

    Each (setting, K, B, seed) counts once: by its latest finished run, else by its latest run. Repeats are no
    further seeds; they are set aside, not counted.
    """
    identity = varying(runs)
    number = runs.groupby(identity, dropna=False, sort=True).ngroup() + 1 if identity else 1
    runs = runs.assign(**{SETTING: number})
    finished = runs["status"] == schema.FINISHED
    latest_last = runs.assign(finished=finished).sort_values(["finished", "start_time", "run_id"])
    repeated = latest_last.duplicated([SETTING, *RUN], keep="last")
    runs[COUNTED] = ~repeated.reindex(runs.index)
    return runs.sort_values([SETTING, *RUN, "start_time", "run_id"], ignore_index=True)


def varying(runs: pd.DataFrame) -> list[str]:
    """The columns that tell the settings apart, what the NLL is first: parameters other than K, B, seed and places on
    disk, and the version of the code's numerics.
    """
    identity = [p for p in param_columns(runs) if p not in (*RUN, *schema.MACHINERY)]
    identity += [NUMERICS_TAG] if NUMERICS_TAG in runs else []
    identity = [name for name in identity if runs[name].nunique(dropna=False) > 1]
    return sorted(identity, key=lambda name: (name != schema.NLL_KIND, name))


def missing(runs: pd.DataFrame) -> pd.DataFrame:
    """The cells and seeds that were never started: columns setting, mc_samples, batch_size, seed.

    A sweep implies the product of the K, B and seeds seen in it; the runs of a setting that were started singly
    count as one sweep. What another sweep of the same setting has run is not missing.
    """
    sweeps = runs.groupby([SETTING, runs["parent_id"].fillna("")])
    implied = {
        (setting, *cell)
        for (setting, _), sweep in sweeps
        for cell in pd.MultiIndex.from_product([sweep[key].unique() for key in RUN])
    }
    started = set(runs[[SETTING, *RUN]].itertuples(index=False, name=None))
    return pd.DataFrame(sorted(implied - started), columns=[SETTING, *RUN]).astype("int64")


def count(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: n_seeds (those started), n_STATUS for each status, n_missing and n_set_aside."""
    cell = [SETTING, *CELL]
    counted = runs[runs[COUNTED]]
    counts = counted.groupby([*cell, "status"]).size().unstack(fill_value=0).reindex(columns=STATUSES, fill_value=0)
    counts = counts.add_prefix("n_")
    counts.insert(0, "n_seeds", counted.groupby(cell).size())
    counts = counts.join(missing(runs).groupby(cell).size().rename("n_missing"), how="outer")
    counts = counts.join(runs[~runs[COUNTED]].groupby(cell).size().rename("n_set_aside"))
    return counts.fillna(0).astype("int64").rename_axis(columns=None).reset_index()


def unfinished(runs: pd.DataFrame) -> pd.DataFrame:
    """The counted runs that did not finish, one row each."""
    return runs[runs[COUNTED] & (runs["status"] != schema.FINISHED)]


def set_aside(runs: pd.DataFrame) -> pd.DataFrame:
    """The repeats, one row each, and whether each has the same fingerprint as the run that counts."""
    kept = runs.loc[runs[COUNTED], [SETTING, *RUN, "run_id", "fingerprint"]]
    repeats = runs[~runs[COUNTED]].merge(kept, on=[SETTING, *RUN], suffixes=("", "_counted"))
    same = repeats["fingerprint"].fillna("") == repeats["fingerprint_counted"].fillna("")
    return repeats.assign(same_fingerprint=same)


def scoreless(runs: pd.DataFrame) -> pd.DataFrame:
    """The counted and finished runs whose final test NLL is missing or not finite: they are in no mean of it."""
    finished = runs[runs[COUNTED] & (runs["status"] == schema.FINISHED)]
    score = schema.FINAL_TEST_NLL.key
    return finished[~np.isfinite(finished.reindex(columns=[score])[score].astype(float))]
