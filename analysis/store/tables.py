"""A store's rows as two tidy tables. Nothing is read here."""

import re
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pandas as pd

from src import inference, schema

# The columns that locate a value. A cell is a K and a B, and a run of it has a seed.
K, B, SEED, EPOCH = schema.MC_SAMPLES.key, schema.BATCH_SIZE.key, schema.SEED.key, schema.EPOCH.key
CELL = [K, B]
RUN = [*CELL, SEED]
# Columns of the runs table that are neither parameter, tag nor metric.
RUN_COLUMNS = (
    "run_id", "run_name", "parent_id", "parent_name", "sweep", "status", "fingerprint", "start_time", "end_time",
    "artifact_uri",
)  # fmt: skip
TAG_PREFIX = "tags."
# Parameters that are lists of names.
LISTS = [inference.STUDY_KEYS["covarying"], f"{inference.PREFIX}covarying"]
UNKNOWN = "unknown"
STATUSES = (schema.FINISHED, schema.FAILED, schema.DIVERGED, schema.KILLED, schema.RUNNING, UNKNOWN)
# MLflow's own status, where the run's tag is missing. Its FINISHED is not taken: it sets it on an aborted script too.
MLFLOW_STATUS = {name.upper(): name for name in (schema.RUNNING, schema.FAILED, schema.KILLED)}
MLFLOW_STATUS["SCHEDULED"] = schema.RUNNING


class ReportError(Exception):
    """There is nothing to report. The message says what was wrong, expected and received, and the remedy."""


class Tables(NamedTuple):
    """What an experiment recorded.

    runs: one row per run of a cell: RUN_COLUMNS, each parameter under its dotted key and in its type, each tag
        under "tags.KEY", each metric's last value under its key.
    history: one row per run and epoch: run_id, mc_samples, batch_size, seed, epoch, and a column per metric logged
        by epoch, in the units of src.schema.
    """

    runs: pd.DataFrame
    history: pd.DataFrame


def tidy(runs: pd.DataFrame, params: pd.DataFrame, tags: pd.DataFrame, points: pd.DataFrame) -> Tables:
    """A store's rows as the two tables, sorted by K, B, seed and start, whatever their order in the store.

    Runs without the integers K, B and seed are left out: they are the parents of sweeps, whose designs, design.*, are
    parameters of their cells.

    Args:
        runs: run_id, run_name, status, start_time and end_time in ms, artifact_uri.
        params, tags: run_id, key, value.
        points: of metrics: run_id, key, step, timestamp in ms, value, is_nan.
    """
    by_epoch, last = metrics(points)
    runs = runs.set_index("run_id")
    tags = wide(tags).reindex(runs.index)
    own = tags.reindex(columns=[schema.PARENT_RUN, schema.SWEEP, schema.FINGERPRINT, schema.STATUS]).astype("str")
    status = own.pop(schema.STATUS).fillna(runs["status"].map(MLFLOW_STATUS))
    runs[["parent_id", "sweep", "fingerprint"]] = own
    runs["parent_name"] = runs["parent_id"].map(runs["run_name"])
    runs["status"] = status.where(status.isin(STATUSES), UNKNOWN)
    for column in ("start_time", "end_time"):
        runs[column] = pd.to_datetime(runs[column], unit="ms", utc=True)

    typed_params = wide(with_own_data(params)).apply(typed)
    grid = typed_params.reindex(columns=RUN).apply(pd.to_numeric, errors="coerce").dropna().astype("int64")
    designs = typed_params.filter(regex=rf"^{re.escape(inference.PREFIX)}")
    own = typed_params.drop(columns=[*RUN, *designs], errors="ignore")
    runs = runs.join(own).join(grid, how="inner").join(designs, on="parent_id")
    runs = runs.join(tags.add_prefix(TAG_PREFIX)).join(last).reset_index()
    runs = runs.sort_values([*RUN, "start_time", "run_id"], ignore_index=True)
    runs = runs[[*RUN_COLUMNS, *runs.columns.drop(list(RUN_COLUMNS))]]
    return Tables(runs, runs[["run_id", *RUN]].merge(by_epoch, on="run_id"))


def wide(long: pd.DataFrame) -> pd.DataFrame:
    """Rows of (run_id, key, value) as one row per run and one column per key."""
    return long.pivot(index="run_id", columns="key", values="value").rename_axis(columns=None)


def with_own_data(params: pd.DataFrame) -> pd.DataFrame:
    """Parameters with a digest for files whose values were not recorded: each file is then a data set of its own."""
    known = params.loc[params["key"] == schema.DATA_DIGEST, "run_id"]
    files = params[(params["key"] == "data.path") & (params["value"] != "None") & ~params["run_id"].isin(known)]
    own = [f"unrecorded-{sha256(path.encode()).hexdigest()[:12]}" for path in files["value"]]
    return pd.concat([params, files.assign(key=schema.DATA_DIGEST, value=own)])


def typed(texts: pd.Series) -> pd.Series:
    """A recorded parameter in its type: numbers or booleans where every value is one, else text. "None" is missing."""
    values = texts.mask(texts == "None")
    if values.notna().any() and values.dropna().isin(["True", "False"]).all():
        return values.map({"True": True, "False": False}).astype("boolean")
    try:
        return pd.to_numeric(values, dtype_backend="numpy_nullable")
    except ValueError:
        return values


def metrics(points: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics by run and epoch, a column each, and every metric's last value by run.

    MLflow stores NaN as 0 with is_nan set and an infinity as the largest double: both are mapped back. There may be
    millions of points, so they are placed by codes.
    """
    value = points["value"].to_numpy(dtype=float, copy=True)
    value[np.abs(value) > 1.797e308] *= np.inf
    value[points["is_nan"].to_numpy(dtype=bool)] = np.nan
    step, steps = pd.factorize(points["step"].to_numpy(dtype="int64"), sort=True)
    # A resumed run logs a step again. NumPy keeps the last value of a place: the latest, of these the largest, or NaN.
    order = np.lexsort((value, points["timestamp"].to_numpy(), step))
    runs, keys = (points[name].astype("category").cat for name in ("run_id", "key"))
    run, key = runs.codes.to_numpy(dtype="int64")[order], keys.codes.to_numpy()[order]
    value, step = value[order], step[order]
    last = np.full((len(runs.categories), len(keys.categories)), np.nan)
    last[run, key] = value
    of_epochs = ~keys.categories.str.startswith(("final/", "run/"))
    kept = of_epochs[key]
    row, rows = pd.factorize(run[kept] * len(steps) + step[kept], sort=True)
    table = np.full((len(rows), len(keys.categories)), np.nan)
    table[row, key[kept]] = value[kept]
    by_epoch = pd.DataFrame(table[:, of_epochs], columns=keys.categories[of_epochs]).sort_index(axis=1)
    by_epoch.insert(0, "run_id", runs.categories[rows // max(1, len(steps))])
    by_epoch.insert(1, EPOCH, steps[rows % max(1, len(steps))])
    return by_epoch, pd.DataFrame(last, runs.categories, keys.categories).sort_index(axis=1)


def param_columns(runs: pd.DataFrame) -> list[str]:
    """The columns of a runs table that are a run's own parameters. Keys of metrics have a slash, keys of parameters
    have none.
    """
    names = [str(name) for name in runs if name not in RUN_COLUMNS]
    return [name for name in names if not name.startswith((TAG_PREFIX, inference.PREFIX)) and "/" not in name]


def with_lists(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with lists of names as one text with commas, missing where empty. They were recorded as JSON, or by
    earlier versions as Python prints a list or a tuple.
    """

    def names(text: object) -> str | None:
        return ",".join(re.findall(r"[\w.]+", str(text))) or None

    return runs.assign(**{key: runs[key].map(names, na_action="ignore") for key in LISTS if key in runs})
