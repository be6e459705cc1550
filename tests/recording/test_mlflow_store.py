"""Runs in a real SQLite store: found again, sent twice without harm."""

import sqlite3
import subprocess
import sys
import textwrap

import pytest

from src import ROOT, schema
from src.config import Config, ConfigError, TrackingConfig
from src.process import ProcessId
from src.recording import ledger
from src.recording.ledger import Runs
from src.recording.mlflow_store import MlflowStore, store_uri


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return TrackingConfig(uri=f"sqlite:///{folder}/mlflow.db", runs=str(folder / "runs"))


@pytest.fixture(scope="module")
def store(config):
    return MlflowStore(config)


@pytest.fixture
def written(config):
    """A ledger with two epochs, at its end."""
    runs = Runs(config)
    home = runs.home(Config(), "f" * 64)
    number = len(list(home.glob("[0-9]*"))) + 1
    tags = {schema.FINGERPRINT: "f" * 64, schema.SWEEP: "a"}
    begun = runs.begin(home / str(number), "K=1", None, {"mc_samples": 1, "data.train_size": None}, tags)
    begun.append(ledger.METRICS, step=1, metrics={schema.TRAIN_LOSS.key: 1.5, schema.TEST_NLL.key: 2.5})
    begun.append(ledger.METRICS, step=2, metrics={schema.TRAIN_LOSS.key: 1.25})
    begun.append(ledger.END, status=schema.FINISHED, note="")
    return begun


def send(store, found, *parts):
    events = found.events
    for start, end in parts or [(0, len(events))]:
        store.send(found.key, found.folder, events[start:end])
    return store.client.get_run(store.run_id(found.key))


def rows(store, run_id):
    with sqlite3.connect(store.uri.removeprefix("sqlite:///")) as connection:
        sql = "select key, step, value, timestamp from metrics where run_uuid = ? order by key, step"
        return connection.execute(sql, [run_id]).fetchall()


def test_a_ledger_becomes_a_run_with_its_params_metrics_times_and_status(store, written):
    found = send(store, written)
    assert found.info.status == "FINISHED"
    assert found.info.start_time == written.events[0]["time"]
    assert found.info.end_time == written.events[-1]["time"]
    assert found.data.tags[schema.STATUS] == schema.FINISHED
    assert found.data.tags[schema.SWEEP] == "a"
    assert found.data.params == {"mc_samples": "1", "data.train_size": "None"}
    assert rows(store, found.info.run_id) == [
        (schema.TEST_NLL.key, 1, 2.5, written.events[1]["time"]),
        (schema.TRAIN_LOSS.key, 1, 1.5, written.events[1]["time"]),
        (schema.TRAIN_LOSS.key, 2, 1.25, written.events[2]["time"]),
    ]


@pytest.mark.parametrize("parts", [[(0, 4), (0, 4)], [(0, 1), (0, 3), (1, 3), (2, 4)]])
def test_what_is_sent_twice_stands_there_once(store, written, parts):
    found = send(store, written, *parts)
    assert len(rows(store, found.info.run_id)) == 3
    condition = f"tags.{schema.LEDGER} = '{written.key}'"
    assert [run.info.run_id for run in store.client.search_runs([store.experiment_id], condition)] == [
        found.info.run_id
    ]


def test_a_run_is_found_again_by_a_store_that_is_opened_anew(store, config, written):
    assert MlflowStore(config).run_id(written.key) is None
    send(store, written)
    assert MlflowStore(config).run_id(written.key) == store.run_id(written.key)


def test_a_resumed_run_is_open_again_and_ends_once_more(store, written):
    killed = [*written.events[:3], {"event": "end", "time": 5, "status": schema.KILLED, "note": "by SIGTERM"}]
    store.send(written.key, written.folder, killed)
    run_id = store.run_id(written.key)
    assert store.client.get_run(run_id).info.status == "KILLED"
    store.send(written.key, written.folder, [{"event": "resume", "time": 6, "process": ProcessId.own()._asdict()}])
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.tags[schema.STATUS], run.data.tags[schema.NOTE]) == ("RUNNING", "running", "")
    store.send(written.key, written.folder, written.events[3:])
    assert store.client.get_run(run_id).info.status == "FINISHED"


def test_a_child_names_its_parents_run(store, config, written):
    send(store, written)
    runs = Runs(config)
    child = runs.begin(runs.root / "child" / "1", "child", written.key, {}, {})
    assert send(store, child).data.tags[schema.PARENT_RUN] == store.run_id(written.key)
    child.append(ledger.END, status=schema.FINISHED, note="")
    send(store, child)


def test_the_store_has_a_write_ahead_log_and_artifacts_beside_it(store):
    path = store.uri.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        ((artifacts,),) = connection.execute("select artifact_location from experiments where name = 'vae-mc-samples'")
    assert artifacts == f"file://{path.removesuffix('mlflow.db')}mlruns/vae-mc-samples"


def test_the_store_is_named_by_config_then_environment_then_root(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///named.db")
    assert store_uri(TrackingConfig(uri="sqlite:///own.db")) == "sqlite:///own.db"
    assert store_uri(TrackingConfig()) == "sqlite:///named.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert store_uri(TrackingConfig()) == f"sqlite:///{ROOT / 'mlflow.db'}"


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, and long enough to be told from an empty one" * 100)
    with pytest.raises(ConfigError, match=r"cannot be opened.*tracking\.uri=sqlite"):
        MlflowStore(TrackingConfig(uri=f"sqlite:///{path}"))


def test_three_processes_may_open_a_fresh_store_at_once(tmp_path):
    """Unlocked, MLflow's own migration fails in all but one of them."""
    program = textwrap.dedent(f"""
        from src.recording.mlflow_store import MlflowStore
        from src.config import TrackingConfig
        store = MlflowStore(TrackingConfig(uri="sqlite:///{tmp_path}/mlflow.db"))
        store.client.create_run(store.experiment_id)
    """)
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(3)]
    for started in processes:
        _, errors = started.communicate(timeout=600)
        assert started.returncode == 0, errors.decode()
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert connection.execute("select count(*) from runs").fetchone() == (3,)
        assert connection.execute("select count(*) from experiments where name = 'vae-mc-samples'").fetchone() == (1,)
