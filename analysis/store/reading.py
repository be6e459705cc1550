"""Reading of runs from every place where they lie. Nothing is written to it.

A database is read in bulk by SQL: four million metric rows take seconds. A server, or a database with tables of another
version, is read through MLflow, which takes longer.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
from matplotlib.image import imread

from analysis.store import database
from analysis.store.database import COLUMNS, Records, no_experiment, unreadable
from analysis.store.parquet import read_parquet
from analysis.store.tables import RUN, SEED, B, K, ReportError, Tables, tidy, with_lists
from src.refusal import refusal

if TYPE_CHECKING:
    from mlflow import MlflowClient

# The request of MLflow's page, with the most runs and points of an answer (MLflow 3.17).
BULK, BULK_RUNS, BULK_POINTS, OK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk", 100, 25_000, 200
DATABASES, SERVERS = ("sqlite", "postgresql", "postgresql+psycopg"), ("http", "https")


def read(place: str, experiment: str) -> Tables:
    """The runs and histories of an experiment, or of files, which do not record one.

    Args:
        place: sqlite:///FILE, postgresql://..., http(s)://..., a folder with runs.parquet and history.parquet, or such
            a runs.parquet.

    Raises:
        ReportError: no such place or experiment, no run of a cell in it, or a damaged database.
    """
    scheme = place.partition("://")[0]
    if scheme in (*DATABASES, *SERVERS):
        records = database.select(place, experiment) if scheme in DATABASES else None
        tables = tidy(*(records or _read_client(place, experiment)))
    else:
        tables = read_parquet(place)
    if tables.runs.empty:
        expected = f"one with runs that have the parameters {', '.join(RUN)}"
        raise ReportError(refusal("experiment", expected, experiment, "Train first: python -m src.train"))
    return Tables(with_lists(tables.runs), tables.history)


def together(parts: Iterable[Tables]) -> Tables:
    """The runs of several places as those of one. A run that lies in more than one of them is that of the first."""
    several, known = [*parts], set[str]()
    if len(several) == 1:
        return several[0]
    rows, histories = [], []
    for part in several:
        rows.append(part.runs[~part.runs["run_id"].isin(known)])
        histories.append(part.history[~part.history["run_id"].isin(known)].drop(columns=RUN))
        known |= {*part.runs["run_id"]}
    runs = pd.concat(rows, ignore_index=True)
    # A parameter may have been a number in all runs of one place and a word in another.
    mixed = runs.columns[runs.dtypes == "object"]
    runs[mixed] = runs[mixed].astype("str")
    runs = runs.sort_values([*RUN, "start_time", "run_id"], ignore_index=True)
    return Tables(runs, runs[["run_id", *RUN]].merge(pd.concat(histories), on="run_id"))


def _read_client(place: str, experiment: str) -> Records:
    """The records of an experiment through MLflow's public client."""
    # With MLflow's own default it takes minutes to report that no server answers.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    from mlflow import MlflowClient, MlflowException

    try:
        client = MlflowClient(place)
        found = client.get_experiment_by_name(experiment)
        if found is None or found.lifecycle_stage != "active":
            raise no_experiment(experiment, [each.name for each in client.search_experiments()])
        return _request(client, found.experiment_id)
    except MlflowException as error:
        raise unreadable(place, error) from error


def _request(client: "MlflowClient", experiment_id: str) -> Records:
    page = client.search_runs([experiment_id])
    runs = [*page]
    while page.token:
        page = client.search_runs([experiment_id], page_token=page.token)
        runs += page
    rows: list[list[Any]] = [
        [[getattr(run.info, name) for name in COLUMNS["runs"]] for run in runs],
        [(run.info.run_id, *param) for run in runs for param in run.data.params.items()],
        [(run.info.run_id, *tag) for run in runs for tag in run.data.tags.items()],
    ]
    records = [pd.DataFrame(r, columns=[*c]) for r, c in zip(rows, COLUMNS.values(), strict=False)]
    by_key = defaultdict[str, list[str]](list)
    for run in runs:
        for key in run.data.metrics:
            by_key[key].append(run.info.run_id)
    asked = [(key, ids[i : i + BULK_RUNS]) for key, ids in by_key.items() for i in range(0, len(ids), BULK_RUNS)]
    codes = {"run_id": pd.CategoricalDtype([run.info.run_id for run in runs]), "key": pd.CategoricalDtype([*by_key])}

    def points(key: str, ids: list[str]) -> pd.DataFrame:
        return pd.DataFrame(_history(client, key, ids), columns=[*COLUMNS["metrics"]]).astype(codes)

    with ThreadPoolExecutor(4) as pool:
        parts = [points("", []), *pool.map(points, *zip(*asked, strict=True))] if asked else [points("", [])]
    return [*records, pd.concat(parts, ignore_index=True)]


def _history(client: "MlflowClient", key: str, ids: list[str]) -> list[tuple[Any, ...]]:
    """The points of a metric of some runs, by the request of MLflow's own page, which answers for many runs at once.

    Where it is missing, as in a database of another version or on an older server, by a request per run.
    """
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    if client.tracking_uri.startswith("http"):
        asked = {"metric_key": key, "run_id": ids, "max_results": BULK_POINTS}
        reply = http_request(get_default_host_creds(client.tracking_uri), BULK, "GET", params=asked)
        if reply.status_code == OK and len(found := reply.json()["metrics"]) < BULK_POINTS:
            return [(p["run_id"], key, p["step"], p["timestamp"], p["value"], p["value"] != p["value"]) for p in found]
        if reply.status_code == OK and len(ids) > 1:  # the answer was cut off
            half = len(ids) // 2
            return _history(client, key, ids[:half]) + _history(client, key, ids[half:])
    histories = [(run_id, client.get_metric_history(run_id, key)) for run_id in ids]
    return [(run_id, key, p.step, p.timestamp, p.value, p.value != p.value) for run_id, ps in histories for p in ps]


def pictures(places: Sequence[str], runs: pd.DataFrame, name: str) -> pd.DataFrame:
    """The artifact of that name for each K that has it: mc_samples, batch_size, seed and image.

    It is from the batch size that was run with most K, then the smallest batch size, then the smallest seed. Files of a
    report have none.
    """
    candidates = runs.assign(levels=runs.groupby(B)[K].transform("nunique")).reindex(
        columns=[*RUN, "run_id", "artifact_uri", "levels"]
    )
    candidates = candidates.dropna().sort_values(["levels", B, SEED], ascending=[False, True, True])
    found: dict[int, dict[str, Any]] = {}
    for run in candidates.to_dict("records"):
        if run[K] not in found and (image := _picture(places, run["run_id"], run["artifact_uri"], name)) is not None:
            found[run[K]] = {key: run[key] for key in RUN} | {"image": image}
    return pd.DataFrame([found[level] for level in sorted(found)], columns=[*RUN, "image"])


def _picture(places: Sequence[str], run_id: str, artifact_uri: str, name: str) -> np.ndarray | None:
    """A run's picture, downloaded first where it is not on this machine; None where it is missing or damaged."""
    parts = urlsplit(artifact_uri)
    try:
        if parts.scheme in ("", "file"):
            return imread(Path(unquote(parts.path) if parts.scheme else artifact_uri) / name)
        from mlflow import MlflowClient, MlflowException

        for place in (each for each in places if "://" in each):  # MLflow takes any other for a folder of its own
            with suppress(MlflowException):
                return imread(MlflowClient(place).download_artifacts(run_id, name))
    except (OSError, SyntaxError):  # the PNG reader raises SyntaxError for a damaged file
        pass
    return None
