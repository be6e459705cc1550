"""A store of MLflow filled with made-up runs: `python -m benchmarks.filling URI RUNS EPOCHS METRICS`.

Through MLflow it would take hours, so the rows are written by ADBC.
"""

import sys
import uuid
import warnings
from collections.abc import Sequence
from contextlib import closing
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
from adbc_driver_manager import dbapi
from adbc_driver_postgresql import dbapi as postgresql
from adbc_driver_sqlite import dbapi as sqlite
from mlflow import MlflowClient

from src import schema
from src.config import Config, flatten

SLICE = 50  # runs whose metrics are written at once
START = 1_700_000_000_000  # ms


def fill(uri: str, runs: int, epochs: int, metrics: int) -> None:
    """Runs with the default settings at three K and two B, and that number of metrics at every epoch.

    Args:
        uri: sqlite:///FILE or postgresql+psycopg://..., with no store in it yet.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        experiment = int(MlflowClient(uri).create_experiment(schema.EXPERIMENT, "mlflow-artifacts:/1"))
    ids = [uuid.uuid4().hex for _ in range(runs)]
    keys = [metric.key for metric in schema.EPOCH_METRICS][:metrics]
    keys += [f"probe/part{number}/var_mc" for number in range(metrics - len(keys))]
    lite = uri.startswith("sqlite:///")
    opened = sqlite.connect(uri.removeprefix("sqlite:///")) if lite else postgresql.connect(uri.replace("+psycopg", ""))
    with closing(opened) as connection, closing(connection.cursor()) as cursor:
        _append(cursor, "runs", _runs(ids, experiment))
        _append(cursor, "params", _params(ids))
        _append(cursor, "tags", pd.DataFrame({"key": schema.STATUS, "value": schema.FINISHED, "run_uuid": ids}))
        for first in range(0, runs, SLICE):
            points = _points(ids[first : first + SLICE], keys, epochs)
            points["is_nan"] = points["is_nan"].astype("int64" if lite else "bool")
            _append(cursor, "metrics", points)
            _append(cursor, "latest_metrics", points[points["step"] == epochs])
        connection.commit()


def _append(cursor: dbapi.Cursor, table: str, rows: pd.DataFrame) -> None:
    cursor.adbc_ingest(table, pa.Table.from_pandas(rows, preserve_index=False), mode="append")


def _runs(ids: Sequence[str], experiment: int) -> pd.DataFrame:
    runs = pd.DataFrame({"run_uuid": ids, "name": ids, "start_time": START + np.arange(len(ids))})
    texts = {"source_type": "LOCAL", "source_name": "", "entry_point_name": "", "source_version": "", "user_id": ""}
    texts |= {"status": "FINISHED", "lifecycle_stage": "active", "artifact_uri": "mlflow-artifacts:/1"}
    runs = runs.assign(end_time=runs["start_time"] + 1, experiment_id=experiment, **texts)
    return runs.astype({"experiment_id": "int32"})


def _params(ids: Sequence[str]) -> pd.DataFrame:
    rows = []
    cells = list(product((30, 100), (1, 5, 25)))
    for number, run_id in enumerate(ids):
        seed, cell = divmod(number, len(cells))
        batch_size, mc_samples = cells[cell]
        config = Config(mc_samples=mc_samples, batch_size=batch_size, seed=seed)
        rows += [(key, str(value), run_id) for key, value in flatten(config).items()]
    return pd.DataFrame(rows, columns=["key", "value", "run_uuid"])


def _points(ids: Sequence[str], keys: Sequence[str], epochs: int) -> pd.DataFrame:
    """A random value for each run, epoch and metric, in the order in which they would be recorded."""
    index = pd.MultiIndex.from_product([ids, range(1, epochs + 1), keys], names=["run_uuid", "step", "key"])
    value = np.random.default_rng(0).random(len(index))
    points = pd.DataFrame({"value": value, "is_nan": False}, index=index).reset_index()
    return points.assign(timestamp=START + points["step"])


if __name__ == "__main__":
    fill(sys.argv[1], *map(int, sys.argv[2:]))
