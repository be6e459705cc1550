"""Recording: the ledger first, then a store that may be down, slow or gone."""

import json
import sqlite3
import subprocess
import sys
import threading

import pytest

from src import ROOT, process, schema
from src.config.settings import Config, TrackingConfig
from src.recording import ledger, uploader
from src.recording.ledger import Ledger, Runs
from src.recording.mlflow_store import MlflowStore
from src.recording.recorder import record, resume
from tests.commands import wait_until

REASON = "the tracker is down"


@pytest.fixture
def config(tmp_path):
    return TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db", runs=str(tmp_path / "runs"))


@pytest.fixture
def runs(config):
    return Runs(config)


@pytest.fixture
def begun(runs):
    return runs.begin(runs.home(Config(), "f" * 64) / "1", "K=1", None, {}, {})


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(uploader, "RETRY_SECONDS", (0.05,))
    monkeypatch.setattr(uploader, "CLOSING_SECONDS", 240)  # the store answers in the end, however slow the machine


class Flaky:
    """Opens a store, but fails as long as `down` is set, as it is at first."""

    def __init__(self):
        self.down, self.tries = threading.Event(), 0
        self.down.set()

    def __call__(self, tracking):
        self.tries += 1
        if self.down.is_set():
            raise ConnectionError(REASON)
        return MlflowStore(tracking)


@pytest.fixture
def opened(monkeypatch):
    flaky = Flaky()
    monkeypatch.setattr(uploader, "open_tracker", flaky)
    return flaky


def points(config):
    with sqlite3.connect(config.uri.removeprefix("sqlite:///")) as connection:
        return connection.execute("select key, step, value from metrics order by step, key").fetchall()


def test_a_run_that_ends_well_is_finished_and_nothing_is_left_to_send(config, runs, begun):
    with record(begun, runs) as run:
        run.log({"a": 1.0, "b": 2.0}, step=1)
        (run.folder / "file.txt").write_text("content")
        run.log_artifact(run.folder / "file.txt")
    store = MlflowStore(config)
    found = store.client.get_run(begun.run_id)
    assert found.info.status == "FINISHED"
    assert points(config) == [("a", 1, 1.0), ("b", 1, 2.0)]
    assert [file.path for file in store.client.list_artifacts(begun.run_id)] == ["file.txt"]
    assert list(runs.unsent_ledgers()) == []
    assert process._closers == []


@pytest.mark.parametrize(("status", "expected"), [(None, schema.FAILED), (schema.DIVERGED, schema.DIVERGED)])
def test_a_run_that_raises_says_how_and_why(config, runs, begun, status, expected):
    class Trouble(RuntimeError):
        pass

    if status:
        Trouble.status = status
    with pytest.raises(Trouble), record(begun, runs):
        raise Trouble("the reason")
    found = MlflowStore(config).client.get_run(begun.run_id)
    assert found.info.status == "FAILED"
    assert found.data.tags[schema.STATUS] == expected
    assert found.data.tags[schema.NOTE] == "Trouble: the reason"
    assert (begun.folder / schema.TRACEBACK_FILE).read_text().startswith("Traceback")


def test_a_tracker_that_is_down_is_asked_again_and_gets_everything_once(config, runs, begun, opened, caplog):
    with record(begun, runs) as run:
        run.log({"a": 1.0}, step=1)
        wait_until(lambda: opened.tries >= 3)
        run.log({"a": 2.0}, step=2)
        opened.down.clear()
    assert points(config) == [("a", 1, 1.0), ("a", 2, 2.0)]
    assert caplog.text.count(REASON) == 1


def test_a_tracker_that_stays_down_stops_nothing_and_gets_it_all_later(
    config, runs, begun, opened, caplog, monkeypatch
):
    monkeypatch.setattr(uploader, "CLOSING_SECONDS", 0.3)
    with record(begun, runs) as run:
        run.log({"a": 1.0}, step=1)
    assert "src.sync" in caplog.text
    assert [found.key for found in runs.unsent_ledgers()] == [begun.key]
    assert Ledger(begun.folder).status == schema.FINISHED
    uploader.catch_up(runs, MlflowStore(config))
    assert points(config) == [("a", 1, 1.0)]
    assert list(runs.unsent_ledgers()) == []


def test_a_slow_tracker_does_not_hold_up_the_run(config, runs, begun, monkeypatch):
    """The store takes nothing until the run has logged everything: logging cannot have waited for it."""
    go_on = threading.Event()

    class Slow(MlflowStore):
        def send(self, *arguments):
            go_on.wait(600)
            super().send(*arguments)

    monkeypatch.setattr(uploader, "open_tracker", Slow)
    with record(begun, runs) as run:
        for step in range(5):
            run.log({"a": float(step)}, step)
        go_on.set()
    assert len(points(config)) == 5


def sync(*arguments):
    command = [sys.executable, "-m", "src.sync", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_store_that_is_lost_is_made_again_from_the_ledgers_alone(config, runs, begun, tmp_path):
    with record(begun, runs) as run:
        run.log({"a": 1.0}, step=1)
    for file in tmp_path.glob("mlflow.db*"):
        file.unlink()
    done = sync(f"uri={config.uri}", f"runs={config.runs}")
    assert (done.returncode, done.stderr) == (0, f"{config.uri} has 1 of 1 runs; 0 are being worked on\n")
    assert points(config) == [("a", 1, 1.0)]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["more=1"], ["Expected uri=, runs= or experiment=", "Received: more=1"]),
        (["runs=nowhere"], ["There are no ledgers to send", "nowhere"]),
    ],
)
def test_a_wrong_sync_is_one_clear_error(arguments, parts):
    done = sync(*arguments)
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_run_recorded_before_its_crash_is_not_recorded_twice(config, runs, begun):
    begun.append(ledger.METRICS, step=1, metrics={"a": 1.0})
    with record(resume(Ledger(begun.folder), runs), runs) as run:
        run.log({"a": 1.0, "b": 3.0}, step=1)
        run.log({"a": 2.0}, step=2)
    assert points(config) == [("a", 1, 1.0), ("b", 1, 3.0), ("a", 2, 2.0)]


def test_open_runs_are_closed_as_killed_cells_before_their_parent(config, runs, begun, monkeypatch):
    monkeypatch.setattr(uploader, "KILLED_SECONDS", 240)
    parent = runs.begin(runs.root / "studies" / "now", "grid", None, {}, {})
    with record(parent, runs), record(begun, runs):
        process._close_all("ended by SIGTERM")
        for found in (parent, begun):
            run = MlflowStore(config).client.get_run(found.run_id)
            assert (run.info.status, run.data.tags[schema.NOTE]) == ("KILLED", "ended by SIGTERM")
        assert begun.events[-1]["time"] <= parent.events[-1]["time"]


def test_the_ledger_of_a_dead_process_is_closed_and_sent_and_that_of_a_live_one_left(config, runs, begun, tmp_path):
    store = MlflowStore(config)
    assert not uploader.settle(begun, runs, store)
    assert Ledger(begun.folder).status == schema.RUNNING
    begun.events[0]["process"]["pid"] = 2**22 + 1  # of no process
    begun.file.write_text("".join(f"{json.dumps(event)}\n" for event in begun.events))
    assert uploader.settle(begun, runs, store)
    closed = Ledger(begun.folder)
    assert closed.status == schema.KILLED
    # Nobody knows how long the process has been dead, so that time does not count as spent on the run.
    assert closed.events[-1]["time"] == closed.events[-2]["time"]
    assert store.client.get_run(Ledger(begun.folder).run_id).info.status == "KILLED"


@pytest.mark.parametrize(("down_seconds", "waited"), [(0, 20), (5, 15), (60, 2)])
def test_the_time_that_a_store_has_been_down_counts_as_waited(runs, begun, opened, monkeypatch, down_seconds, waited):
    limits = []
    monkeypatch.setattr(uploader, "CLOSING_SECONDS", 20)
    monkeypatch.setattr(uploader.Uploader, "join", lambda _, seconds: limits.append(seconds))
    with record(begun, runs) as run:
        run.log({"a": 1.0}, step=1)
        wait_until(lambda: opened.tries >= 2)
        now = uploader.time.monotonic()
        monkeypatch.setattr(uploader.time, "monotonic", lambda: now)
        run.uploader.down_since = now - down_seconds
    monkeypatch.undo()
    opened.down.clear()
    assert limits == [pytest.approx(waited)]
    assert Ledger(begun.folder).status == schema.FINISHED


def test_a_store_that_has_just_gone_down_is_waited_for(config, runs, begun, opened):
    with record(begun, runs) as run:
        run.log({"a": 1.0}, step=1)
        wait_until(lambda: opened.tries >= 2)
        threading.Timer(0.5, opened.down.clear).start()
    assert points(config) == [("a", 1, 1.0)]
