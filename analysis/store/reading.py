"""Reading of an MLflow store. Nothing is written to it.

SQLite is read in bulk by SQL: half a million metric rows take about a second, where MLflow's own calls take minutes.
A server, or a database with tables of another version, is read through MLflow's public client, which is slow.
"""

import os
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import pandas as pd
from matplotlib.image import imread

from analysis.store.parquet import read_parquet
from analysis.store.tables import RUN, SEED, B, K, ReportError, Tables, tidy

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Heads of MLflow's migrations whose tables the SQL below was checked against (MLflow 3.17).
KNOWN_REVISIONS = frozenset({"dc11669786a5"})
SQLITE = "sqlite:///"
# What is read of each table, beside the run's id; times are in ms.
COLUMNS = {
    "runs": ["run_name", "status", "start_time", "end_time", "artifact_uri"],
    "params": ["key", "value"],
    "tags": ["key", "value"],
    "metrics": ["key", "step", "timestamp", "value", "is_nan"],
}
Records = list[pd.DataFrame]


def read(place: str, experiment: str) -> Tables:
    """The runs and histories of an experiment, or of files, which do not record one.

    Args:
        place: sqlite:///FILE, http(s)://..., a folder with runs.parquet and history.parquet, or such a runs.parquet.

    Raises:
        ReportError: no such place or experiment, no run of a cell in it, or a damaged database.
    """
    scheme, separator, _ = place.partition("://")
    if not separator:
        tables, received = read_parquet(place), "no runs"
    else:
        records = _read_sqlite(place, experiment) if scheme == "sqlite" else _read_client(place, experiment)
        tables, received = tidy(*records), f"{len(records[0])} runs, none with them"
    if tables.runs.empty:
        raise ReportError(
            f"Experiment {experiment!r} of {place} has nothing to report. Expected runs with the parameters "
            f"{', '.join(RUN)}. Received {received}. Train first: python -m src.train"
        )
    return tables


def _read_sqlite(uri: str, experiment: str) -> Records:
    """The records of an experiment by SQL, from one snapshot of the file, which is opened read-only.

    Through the client where MLflow has another revision of the tables.
    """
    path = Path(uri.removeprefix(SQLITE).split("?")[0])
    if not path.is_file():
        raise ReportError(
            f"There is no store at {uri}. Expected an SQLite file written by MLflow. Received no file of that name. "
            "Name the store with --store sqlite:///FILE, or train first: python -m src.train"
        )
    address = f"file:{quote(str(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=20, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            revisions = {row[0] for row in connection.execute("SELECT version_num FROM alembic_version")}
            if revisions <= KNOWN_REVISIONS:
                return _select(connection, uri, experiment)
    except sqlite3.DatabaseError as error:
        raise ReportError(
            f"The store {uri} cannot be read. Expected an SQLite database of MLflow. Received the error: {error}. "
            "Restore the file from a copy, or name another one with --store."
        ) from error
    return _read_client(uri, experiment)


def _select(connection: sqlite3.Connection, uri: str, experiment: str) -> Records:
    names = dict(connection.execute("SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'"))
    if experiment not in names:
        raise _no_experiment(uri, experiment, names)
    sql = (
        "SELECT run_uuid AS run_id, {} FROM {} WHERE run_uuid IN "
        "(SELECT run_uuid FROM runs WHERE experiment_id = ? AND lifecycle_stage = 'active')"
    )
    queries = [sql.format(", ".join(columns), table) for table, columns in COLUMNS.items()]
    queries = [query.replace("run_name", "name AS run_name") for query in queries]
    return [pd.read_sql_query(query, connection, params=(names[experiment],)) for query in queries]


def _no_experiment(uri: str, experiment: str, names: Iterable[str]) -> ReportError:
    return ReportError(
        f"There is no experiment {experiment!r} in {uri}. Expected one of: {', '.join(sorted(names))}. "
        f"Received: {experiment}. Choose it with --experiment NAME."
    )


def _read_client(uri: str, experiment: str) -> Records:
    """The records of an experiment through MLflow's public client, one request per run and metric."""
    # With MLflow's own default it takes minutes to report that no server answers.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    from mlflow import MlflowClient, MlflowException

    try:
        client = MlflowClient(uri)
        found = client.get_experiment_by_name(experiment)
        if found is None or found.lifecycle_stage != "active":
            raise _no_experiment(uri, experiment, [e.name for e in client.search_experiments()])
        return _request(client, found.experiment_id)
    except MlflowException as error:
        raise ReportError(
            f"The store {uri} cannot be read through MLflow. Expected a server that answers, or a database of the "
            f"installed MLflow's version. Received the error: {error}. Check the URI given with --store."
        ) from error


def _request(client: "MlflowClient", experiment_id: str) -> Records:
    page = client.search_runs([experiment_id])
    runs = [*page]
    while page.token:
        page = client.search_runs([experiment_id], page_token=page.token)
        runs += page
    keys = [(run.info.run_id, key) for run in runs for key in run.data.metrics]
    with ThreadPoolExecutor(8) as pool:
        histories = list(zip(keys, pool.map(lambda key: client.get_metric_history(*key), keys), strict=True))
    rows: list[list[Any]] = [
        [[run.info.run_id, *(getattr(run.info, name) for name in COLUMNS["runs"])] for run in runs],
        [(run.info.run_id, *param) for run in runs for param in run.data.params.items()],
        [(run.info.run_id, *tag) for run in runs for tag in run.data.tags.items()],
        [(*key, p.step, p.timestamp, p.value, p.value != p.value) for key, history in histories for p in history],
    ]
    return [pd.DataFrame(r, columns=["run_id", *c]) for r, c in zip(rows, COLUMNS.values(), strict=True)]


def pictures(place: str, runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The artifact of that name (schema.RECONSTRUCTIONS_FILE, LATENT_FILE, MANIFOLD_FILE) for each K with a run that
    has it, from the batch size that was run with most K, then the smallest batch size, then the smallest seed:
    mc_samples, batch_size, seed, image ([height, width] or [height, width, channels]). Files of a report have none.
    """
    candidates = runs.assign(levels=runs.groupby(B)[K].transform("nunique"))
    candidates = candidates.sort_values(["levels", B, SEED], ascending=[False, True, True])
    candidates = candidates.dropna(subset=["artifact_uri"]) if "artifact_uri" in runs else candidates[:0]
    found: dict[int, dict[str, Any]] = {}
    for run in candidates.to_dict("records"):
        if run[K] not in found and (image := _picture(place, run["run_id"], run["artifact_uri"], name)) is not None:
            found[run[K]] = {key: run[key] for key in RUN} | {"image": image}
    return pd.DataFrame([found[level] for level in sorted(found)], columns=[*RUN, "image"])


def _picture(place: str, run_id: str, artifact_uri: str, name: str) -> np.ndarray | None:
    """A run's picture, downloaded first where it is not on this machine; None where it is missing or damaged."""
    parts = urlsplit(artifact_uri)
    try:
        if parts.scheme in ("", "file"):
            return imread(Path(unquote(parts.path) if parts.scheme else artifact_uri) / name)
        from mlflow import MlflowClient, MlflowException

        with suppress(MlflowException):
            return imread(MlflowClient(place).download_artifacts(run_id, name))
    except (OSError, SyntaxError):  # the PNG reader raises SyntaxError for a damaged file
        pass
    return None
