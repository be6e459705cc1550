"""Runs in a real SQLite store: statuses, parents, first opening by several processes."""

import sqlite3
import subprocess
import sys
import textwrap

import pytest

from src import schema, tracking
from src.config import ConfigError, TrackingConfig
from src.data import ROOT


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    return tracking.Store(TrackingConfig(uri=f"sqlite:///{path}"))


def stored(store, run_id):
    return store.client.get_run(run_id)


def test_a_run_that_ends_well_is_finished_with_its_params_and_metrics(store):
    with store.run("K=1", {"mc_samples": 1, "data.train_size": None}, {"sweep": "a"}) as run:
        run.log({schema.TRAIN_LOSS.key: 1.5, schema.TEST_NLL.key: 2.5}, step=3)
    found = stored(store, run.id)
    assert found.info.status == "FINISHED"
    assert found.data.tags[schema.STATUS] == schema.FINISHED
    assert found.data.tags["sweep"] == "a"
    assert found.data.params == {"mc_samples": "1", "data.train_size": "None"}
    assert found.data.metrics == {schema.TRAIN_LOSS.key: 1.5, schema.TEST_NLL.key: 2.5}
    assert tracking.OPEN_RUNS == []


@pytest.mark.parametrize(("status", "expected"), [(None, schema.FAILED), (schema.DIVERGED, schema.DIVERGED)])
def test_a_run_that_raises_says_how_and_why(store, status, expected):
    class Trouble(RuntimeError):
        pass

    if status:
        Trouble.status = status
    with pytest.raises(Trouble), store.run("bad", {}, {}) as run:
        raise Trouble("the reason")
    found = stored(store, run.id)
    assert found.info.status == "FAILED"
    assert found.data.tags[schema.STATUS] == expected
    assert found.data.tags[schema.NOTE] == "Trouble: the reason"
    assert [file.path for file in store.client.list_artifacts(run.id)] == [schema.TRACEBACK_FILE]


def test_open_runs_are_closed_as_killed(store):
    with store.run("parent", {}, {}) as parent, store.run("cell", {}, {schema.PARENT_RUN: parent.id}) as cell:
        tracking.end_open_runs("ended by SIGTERM")
        for run in (parent, cell):
            assert stored(store, run.id).info.status == "KILLED"
            assert stored(store, run.id).data.tags[schema.NOTE] == "ended by SIGTERM"


def test_the_store_has_a_write_ahead_log_and_artifacts_beside_it(store):
    path = store.uri.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        ((artifacts,),) = connection.execute("select artifact_location from experiments where name = 'vae-mc-samples'")
    assert artifacts == f"file://{path.removesuffix('mlflow.db')}mlruns/vae-mc-samples"


def test_the_store_is_named_by_config_then_environment_then_root(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///named.db")
    assert tracking.store_uri(TrackingConfig(uri="sqlite:///own.db")) == "sqlite:///own.db"
    assert tracking.store_uri(TrackingConfig()) == "sqlite:///named.db"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking.store_uri(TrackingConfig()) == f"sqlite:///{ROOT / 'mlflow.db'}"


def test_a_file_that_is_no_database_is_one_clear_error(tmp_path):
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, and long enough to be told from an empty one" * 100)
    with pytest.raises(ConfigError, match=r"cannot be opened.*tracking\.uri=sqlite"):
        tracking.Store(TrackingConfig(uri=f"sqlite:///{path}"))


def test_three_processes_may_open_a_fresh_store_at_once(tmp_path):
    """Unlocked, MLflow's own migration fails in all but one of them."""
    program = textwrap.dedent(f"""
        from src import tracking
        from src.config import TrackingConfig
        with tracking.Store(TrackingConfig(uri="sqlite:///{tmp_path}/mlflow.db")).run("cell", {{}}, {{}}):
            pass
    """)
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        assert connection.execute("select count(*) from runs where status = 'FINISHED'").fetchone() == (3,)
