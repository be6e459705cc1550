"""Which runs stand for which cell, what they cost, and what a grid lacks: failed, diverged, killed and missing runs.

A setting is all parameters but K, B, seed and those that a study lets vary with K. Runs are averaged over the seeds of
a cell of one setting.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.amounts import EVALUATIONS, SECONDS, taken
from analysis.store import CELL, RUN, STATUSES, TAG_PREFIX, B, K, ReportError, Tables, param_columns
from src import inference, schema
from src.refusal import refusal
from src.schema import Quantity
from src.variance import cost

SETTING, COUNTED = "setting", "counted"
# The columns of a cell in a table of several settings.
CELL_OF = [SETTING, *CELL]
# Recorded numbers changed between its values, so runs of two values are not averaged.
NUMERICS_TAG = f"{TAG_PREFIX}numerics"
MACHINERY_TAG = f"{TAG_PREFIX}{schema.MACHINERY}"
# The median over a run's epochs: an epoch that another program slowed down does not change it.
EPOCH_SECONDS = schema.TRAIN_SECONDS._replace(key="train/seconds_median")
DECODER_EVALUATIONS = Quantity("train/decoder_evaluations", "1/epoch", "decoder evaluations")
SCORE = schema.FINAL_TEST_NLL.key
# The columns that cost_lines() adds to those of a setting and B.
COST = ("seconds_fixed", "seconds_per_draw", "cost_log_sem", "cost_log_half_width")
# The columns that mark() adds to the runs table.
MARKS = [SETTING, COUNTED, EPOCH_SECONDS.key, DECODER_EVALUATIONS.key]


def select_sweeps(tables: Tables, sweeps: list[str]) -> Tables:
    """The runs of the named sweeps: by the parent's run id, its name, or the sweep tag; all where none is named. Raises
    ReportError for a sweep without runs.
    """
    if not sweeps:
        return tables
    names = tables.runs[["parent_id", "parent_name", "sweep"]]
    known = {str(name) for name in names.to_numpy().ravel() if pd.notna(name)}
    for sweep in sweeps:
        if sweep not in known:
            expected = f"a sweep with runs: {', '.join(sorted(known)) or 'there are none'}"
            raise ReportError(refusal("--sweep", expected, sweep, "Leave --sweep out for all runs."))
    runs = tables.runs[names.isin(sweeps).any(axis=1)].reset_index(drop=True)
    return Tables(runs, tables.history[tables.history["run_id"].isin(runs["run_id"])])


def mark(tables: Tables) -> pd.DataFrame:
    """The runs with the columns MARKS: setting (1, 2, ...), counted, and epoch_costs().

    Of each (setting, K, B, seed) one run counts: its inference.representative(). Repeats are set aside.
    """
    runs = with_known_data(tables.runs.drop(columns=MARKS, errors="ignore"))
    differing = varying(runs)
    number = runs.groupby(differing, dropna=False, sort=True).ngroup() + 1 if differing else 1
    runs = runs.assign(**{SETTING: number}).sort_values([SETTING, *RUN, "start_time", "run_id"], ignore_index=True)
    attempts = runs.groupby([SETTING, *RUN])["status"]
    counted = [rows[inference.representative(runs["status"].iloc[rows].tolist())] for rows in attempts.indices.values()]
    runs = runs.assign(**{COUNTED: runs.index.isin(counted)})
    return runs.merge(epoch_costs(tables.history), "left", "run_id")


def with_known_data(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with the digests of their data. Runs that are older than digests and have no data.path have the built-in
    set of their name, whose files are verified.
    """
    if schema.DATA_DIGEST not in runs:
        return runs
    digest, name, path = (runs.reindex(columns=[key])[key] for key in (schema.DATA_DIGEST, "data.name", "data.path"))
    built_in = digest.where(path.isna()).groupby(name)
    known = built_in.transform("first").where(built_in.transform("nunique") == 1)
    return runs.assign(**{schema.DATA_DIGEST: digest.fillna(known)})


def epoch_costs(history: pd.DataFrame) -> pd.DataFrame:
    """Per run: run_id, median seconds per epoch, and decoder evaluations per epoch (images of an epoch times K)."""
    names = {SECONDS.key: EPOCH_SECONDS.key, EVALUATIONS.key: DECODER_EVALUATIONS.key}
    costs = taken(history)[list(names)].rename(columns=names)
    return costs.groupby(history["run_id"]).median().reset_index()


def cost_lines(runs: pd.DataFrame) -> pd.DataFrame:
    """src.variance.cost.fit() of the finished runs of each setting and B that have enough values of K.

    Returns:
        setting, batch_size, seconds_fixed and seconds_per_draw of an epoch, cost_log_sem and cost_log_half_width.
    """
    usable = finished(runs).dropna(subset=[EPOCH_SECONDS.key])
    rows = []
    for cell, group in usable.groupby([SETTING, B]):
        line = cost.fit(group[K], group[EPOCH_SECONDS.key])
        rows.append([*cell, line.fixed, line.per_draw, line.log_error, line.log_half_width])
    table = pd.DataFrame(rows, columns=[SETTING, B, *COST]).dropna(subset="seconds_fixed")
    return table.astype({SETTING: "int64", B: "int64"})


def setting_params(runs: pd.DataFrame) -> list[str]:
    """The parameters of a setting: all but K, B, seed and what any of the runs names as machinery in its tag."""
    tags = runs[MACHINERY_TAG].dropna().unique() if MACHINERY_TAG in runs else ()
    others = {SETTING, COUNTED, *RUN, *(key for tag in tags for key in tag.split(","))}
    return [name for name in param_columns(runs) if name not in others]


def varying(runs: pd.DataFrame) -> list[str]:
    """The columns in which settings differ: parameters, the kind of NLL first, and the version of the numerics."""
    identity = setting_params(runs) + [name for name in (NUMERICS_TAG,) if name in runs]
    differing = {name for name in identity if runs[name].nunique(dropna=False) > 1} - accompanying(runs)
    return sorted(differing, key=lambda name: (name != schema.NLL_KIND, name))


def accompanying(runs: pd.DataFrame) -> set[str]:
    """The parameters, such as epochs, that the study lets vary with K, and that have one value for each K and B."""
    key = inference.STUDY_KEYS["covarying"]
    several = key not in runs or runs[key].nunique(dropna=False) > 1
    names = set() if several else set(str(runs[key].iloc[0]).split(","))
    return {name for name in names & set(runs) if runs.groupby(CELL)[name].nunique(dropna=False).max() == 1}


def nll_kind(runs: pd.DataFrame) -> str:
    """What the runs of a setting recorded as their NLL."""
    kind = runs.iloc[0].get(schema.NLL_KIND)
    return "NLL of unrecorded kind" if pd.isna(kind) else str(kind)


def missing(runs: pd.DataFrame) -> pd.DataFrame:
    """The cells and seeds that were never started: columns setting, mc_samples, batch_size, seed.

    A sweep implies the product of its K, B and seeds. The single runs of a setting count as one sweep. What another
    sweep of the setting has run is not missing.
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
    started = runs[CELL_OF].assign(fate=runs["status"].where(runs[COUNTED], "set_aside"))
    fates = pd.concat([started, missing(runs)[CELL_OF].assign(fate="missing")])
    counts = fates.groupby([*CELL_OF, "fate"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=[*STATUSES, "missing", "set_aside"], fill_value=0)
    counts.insert(0, "seeds", counts[[*STATUSES]].sum(axis=1))
    return counts.add_prefix("n_").rename_axis(columns=None).reset_index()


def finished(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that numbers are made from: counted and finished, with scores of one kind."""
    ended = runs[runs[COUNTED] & (runs["status"] == schema.FINISHED)]
    return ended.assign(**{SCORE: of_one_kind(ended)}) if SCORE in ended else ended


def of_one_kind(runs: pd.DataFrame) -> pd.Series:
    """Their final test NLL; nan where it is by draws, and others of its setting are by quadrature."""
    exact = metric(runs, schema.FINAL_TEST_NLL_QUADRATURE.key).notna()
    return metric(runs, SCORE).where(exact.groupby(runs[SETTING]).transform(inference.comparable))


def lost(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that are in no mean of the final test NLL, and those that were never started, one row each.

    The column why has the reason, which for a repeat says whether the run that counts has another fingerprint.
    """
    fingerprint, status = runs["fingerprint"].fillna(""), runs["status"].astype(object)
    kept = fingerprint.where(runs[COUNTED]).groupby([runs[key] for key in (SETTING, *RUN)]).transform("first")
    repeat: pd.Series = "repeat set aside: " + status + np.where(kept == fingerprint, "", " under another fingerprint")
    reasons: list[tuple[pd.Series, Any]] = [
        (~runs[COUNTED], repeat),
        (status != schema.FINISHED, status),
        (np.isfinite(of_one_kind(runs)), ""),
        (np.isfinite(metric(runs, SCORE)), "finished, scored by draws, the others of its setting by quadrature"),
    ]
    why = pd.Series("finished without a finite test score", runs.index, dtype=object).case_when(reasons)
    stopped = runs.assign(why=why)[why != ""]
    return pd.concat([stopped, missing(runs).assign(why="never started")])


def metric(runs: pd.DataFrame, key: str) -> pd.Series:
    """The column of a metric; nan where the runs have none."""
    return runs.reindex(columns=[key])[key].astype(float)
