"""Runs in MLflow: the only module of src that imports it.

A store is opened once, by the process that starts a study, before any worker: migrating a fresh database from
several processes at once breaks it. Everything goes through the client, so no environment variable and no global
"active run" decides where a metric lands.
"""

import logging
import os
import sqlite3
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError as SQLAlchemyError

from src import schema
from src.config import ConfigError, TrackingConfig
from src.data import ROOT

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)

from mlflow.entities import Metric, Param  # noqa: E402 - telemetry is switched off first
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

MLFLOW_STATUS = {
    schema.FINISHED: "FINISHED",
    schema.FAILED: "FAILED",
    schema.DIVERGED: "FAILED",
    schema.KILLED: "KILLED",
}
# Runs that this process has open, oldest first: what a signal has to close.
OPEN_RUNS: list["Run"] = []


def store_uri(config: TrackingConfig) -> str:
    """The configured store, else MLFLOW_TRACKING_URI, else mlflow.db at the repository's root."""
    return config.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"


class Run:
    """A run of the store. Metrics are dictionaries from schema keys to numbers."""

    def __init__(self, client: MlflowClient, run_id: str):
        self.client = client
        self.id = run_id

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of one step, in one request."""
        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(key, float(value), now, step) for key, value in metrics.items()])

    def log_artifact(self, path: Path) -> None:
        self.client.log_artifact(self.id, str(path))

    def end(self, status: str, note: str = "") -> None:
        """Close the run: `status` is one of schema's; the note is what the run's page shows first."""
        if note:
            self.client.set_tag(self.id, schema.NOTE, note)
        self.client.set_tag(self.id, schema.STATUS, status)
        self.client.set_terminated(self.id, MLFLOW_STATUS[status])

    def log_traceback(self) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / schema.TRACEBACK_FILE
            path.write_text(traceback.format_exc())
            self.log_artifact(path)


class Store:
    """An MLflow store with its experiment. Creates and migrates an SQLite file on first use, under a lock."""

    def __init__(self, config: TrackingConfig):
        self.uri = store_uri(config)
        try:
            artifacts = self._prepare_sqlite() if self.uri.startswith("sqlite:") else None
            self.client = MlflowClient(self.uri)
            self.experiment_id = self._experiment(config.experiment, artifacts)
        except (MlflowException, SQLAlchemyError, sqlite3.DatabaseError, OSError) as error:
            raise ConfigError(
                f"The store cannot be opened ({error}). Expected an MLflow store. Received: tracking.uri={self.uri}. "
                "Start the server, restore the file, or name another store."
            ) from error

    def _prepare_sqlite(self) -> Path:
        """Create the file with a write-ahead log, which lets readers and writers work side by side; migrate it."""
        path = Path(make_url(self.uri).database or "").resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            MlflowClient(self.uri).search_experiments(max_results=1)
        return path.parent / "mlruns"

    def _experiment(self, name: str, artifacts: Path | None) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        return self.client.create_experiment(name, artifact_location=(artifacts / name).as_uri() if artifacts else None)

    @contextmanager
    def run(self, name: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[Run]:
        """A run for the duration of a block; its status tells how the block ended.

        finished: the block ended; diverged or failed: it raised, which is noted with its traceback and raised on.
        An exception names its own status by an attribute `status`.
        """
        created = self.client.create_run(self.experiment_id, tags={**tags, schema.RUN_NAME: name}, run_name=name)
        run = Run(self.client, created.info.run_id)
        self.client.log_batch(run.id, params=[Param(key, str(value)) for key, value in params.items()])
        OPEN_RUNS.append(run)
        try:
            yield run
        except Exception as error:
            run.log_traceback()
            run.end(getattr(error, "status", schema.FAILED), f"{type(error).__name__}: {error}")
            raise
        else:
            run.end(schema.FINISHED)
        finally:
            OPEN_RUNS.remove(run)


def end_open_runs(reason: str) -> None:
    """Close every run that this process has open as killed, cells before their parent."""
    for run in reversed(OPEN_RUNS):
        run.end(schema.KILLED, reason)
