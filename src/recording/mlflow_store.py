"""Runs in MLflow: the only module of src that imports it. A store receives what a run's ledger holds.

Everything can be sent twice: a run is looked for by its ledger's key before it is created, and a metric has the
ledger's time stamp, by which MLflow recognises a row that it has. So a request whose answer was lost is repeated.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

from filelock import FileLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError as SQLAlchemyError

from src import ROOT, schema
from src.config import ConfigError, TrackingConfig
from src.recording import ledger
from src.recording.ledger import Event

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# The uploader repeats a request that fails; training does not wait for it.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)

from mlflow.entities import Metric, Param, RunTag  # noqa: E402 - telemetry is switched off first
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

MLFLOW_STATUS = {
    schema.FINISHED: "FINISHED",
    schema.FAILED: "FAILED",
    schema.DIVERGED: "FAILED",
    schema.KILLED: "KILLED",
}
REQUEST_METRICS = 1000
# PostgreSQL's limit; the name of a grid is all of its overrides.
NAME_CHARACTERS = 250


def store_uri(config: TrackingConfig) -> str:
    """The configured store, else MLFLOW_TRACKING_URI, else mlflow.db at the repository's root."""
    return config.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"


class MlflowStore:
    """An MLflow store with its experiment. Creates and migrates an SQLite file on first use, under a lock.

    The process that starts a study opens the store before any worker does: migrating a fresh database from several
    processes at once breaks it. Everything goes through the client, so that no environment variable and no global
    "active run" decides to which run a metric belongs.

    Raises:
        ConfigError: the store cannot be opened.
    """

    def __init__(self, config: TrackingConfig):
        self.uri = store_uri(config)
        self.run_ids: dict[str, str] = {}
        try:
            artifacts = self._prepare_sqlite() if self.uri.startswith("sqlite:") else None
            self.client = MlflowClient(self.uri)
            self.experiment_id = self._experiment(config.experiment, artifacts)
        except (MlflowException, SQLAlchemyError, sqlite3.DatabaseError, OSError) as error:
            raise self._unusable(error) from error

    def _unusable(self, reason: object) -> ConfigError:
        return ConfigError(
            f"The store cannot be opened ({reason}). Expected an MLflow store. Received: tracking.uri={self.uri}. "
            "Start the server, restore the file, or name another store. What was trained is safe in the ledgers: "
            "`python -m src.sync` makes a new store from them."
        )

    def verify(self) -> None:
        """Search an SQLite file for damage, which would otherwise show in the middle of a study. Raises ConfigError."""
        if not self.uri.startswith("sqlite:"):
            return
        try:
            with closing(sqlite3.connect(make_url(self.uri).database or "", timeout=20)) as connection:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error
        if found != "ok":
            raise self._unusable(found)

    def _prepare_sqlite(self) -> Path:
        """Create the file with a write-ahead log, which lets readers and writers work side by side; migrate it."""
        path = Path(make_url(self.uri).database or "").resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # an error here; a lock in a folder that cannot be written would be tried for ever
        with FileLock(f"{path}.lock"):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            MlflowClient(self.uri).search_experiments(max_results=1)
        return path.parent / "mlruns"

    def _experiment(self, name: str, artifacts: Path | None) -> str:
        """The experiment's id. Of several processes that create it at once, one succeeds and the others find it."""
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        location = (artifacts / name).as_uri() if artifacts else None
        try:
            return self.client.create_experiment(name, artifact_location=location)
        except MlflowException:
            if (found := self.client.get_experiment_by_name(name)) is None:
                raise
            return found.experiment_id

    def run_id(self, key: str) -> str | None:
        """The id of the run of a ledger; None where the store has none."""
        if key not in self.run_ids:
            for run in self.client.search_runs([self.experiment_id], f"tags.{schema.LEDGER} = '{key}'"):
                self.run_ids[key] = run.info.run_id
        return self.run_ids.get(key)

    def send(self, key: str, folder: Path, events: Sequence[Event]) -> None:
        """Append some events of a ledger to its run, in their order.

        Args:
            key: the ledger's.
            folder: where the files are that the events name.
            events: a part of the ledger's; the first part holds the start.
        """
        apply = {
            ledger.RESUME: self._resume,
            ledger.METRICS: self._metrics,
            ledger.ARTIFACT: self._artifact,
            ledger.END: self._end,
        }
        for event in merged(events):
            if event["event"] == ledger.START:
                self._start(key, event)
            elif run_id := self.run_id(key):
                apply[event["event"]](run_id, folder, event)
            else:
                raise MlflowException(f"The store has no run of the ledger {key}.")

    def _start(self, key: str, event: Event) -> None:
        if self.run_id(key) is not None:
            return
        name = event["name"][:NAME_CHARACTERS]
        tags = {**event["tags"], schema.RUN_NAME: name, schema.LEDGER: key, **process_tags(event["process"])}
        if parent := event["parent"] and self.run_id(event["parent"]):
            tags[schema.PARENT_RUN] = parent
        created = self.client.create_run(self.experiment_id, event["time"], tags, name)
        self.run_ids[key] = created.info.run_id
        params = [Param(name, value) for name, value in event["params"].items()]
        self.client.log_batch(created.info.run_id, params=params)

    def _resume(self, run_id: str, _: Path, event: Event) -> None:
        self._tag(run_id, {**process_tags(event["process"]), schema.STATUS: schema.RUNNING, schema.NOTE: ""})
        self.client.update_run(run_id, status="RUNNING")

    def _metrics(self, run_id: str, _: Path, event: Event) -> None:
        points = [Metric(*point) for point in event["points"]]
        for start in range(0, len(points), REQUEST_METRICS):
            self.client.log_batch(run_id, metrics=points[start : start + REQUEST_METRICS])

    def _artifact(self, run_id: str, folder: Path, event: Event) -> None:
        if (folder / event["file"]).exists():
            self.client.log_artifact(run_id, str(folder / event["file"]))

    def _end(self, run_id: str, _: Path, event: Event) -> None:
        note = {schema.NOTE: event["note"]} if event["note"] else {}
        self._tag(run_id, {schema.STATUS: event["status"], **note})
        self.client.set_terminated(run_id, MLFLOW_STATUS[event["status"]], event["time"])

    def _tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def merged(events: Iterable[Event]) -> Iterator[Event]:
    """The events with consecutive metrics joined into one request's `points` (key, value, time, step)."""
    for kind, group in groupby(events, key=lambda event: event["event"]):
        if kind != ledger.METRICS:
            yield from group
            continue
        points = [(key, value, each["time"], each["step"]) for each in group for key, value in each["metrics"].items()]
        yield {"event": kind, "points": points}


def process_tags(identity: Mapping[str, object]) -> dict[str, str]:
    """A process as tags of the run that it works on."""
    names = {"host": schema.HOST, "boot_id": schema.BOOT_ID, "pid": schema.PID, "started": schema.PROCESS_STARTED}
    return {names[key]: str(value) for key, value in identity.items()}
