"""The store is read as it is: types, statuses, special values, repeated steps, and nothing in it is changed."""

import hashlib
import math
import sqlite3
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from analysis import store as stores
from analysis.store import RUN, ReportError, Tables, database, param_columns
from analysis.store.tables import UNKNOWN, typed
from src import schema
from tests.stores import EPOCHS, EXPERIMENT, Store, curve, final_nll, study

LOSS, NLL = schema.TRAIN_LOSS.key, schema.FINAL_TEST_NLL.key


@pytest.fixture(scope="module")
def tables() -> Tables:
    return stores.read(study().uri, EXPERIMENT)


def run(tables: Tables, run_id: str) -> pd.Series:
    return tables.runs.set_index("run_id").loc[run_id]


def test_runs_are_the_cells_without_parents_and_deleted_runs(tables):
    expected = {*study().runs.values(), *study().grayscale.values(), study().repeat, study().failed_first}
    assert set(tables.runs["run_id"]) == expected
    assert len(tables.runs) == len(expected)


def test_parameters_come_back_in_their_types(tables):
    one = run(tables, study().runs[5, 30, 1])
    assert (one["mc_samples"], one["batch_size"], one["seed"], one["epochs"]) == (5, 30, 1, EPOCHS)
    assert one["learning_rate"] == 1e-3
    assert one["model.hidden_dims"] == "[256]"
    assert one[schema.NLL_KIND] == schema.TRUE_NLL
    assert one["parent_name"] == "grid"
    assert {*RUN, "data.pixels", "model.hidden_dims"} <= set(param_columns(tables.runs))
    assert not [name for name in param_columns(tables.runs) if "/" in name or name.startswith("tags.")]


def test_a_column_has_a_type_only_where_every_value_has_it():
    assert typed(pd.Series(["1", "None", "25"])).tolist() == [1, pd.NA, 25]
    assert typed(pd.Series(["True", "False", "None"])).tolist() == [True, False, pd.NA]
    assert typed(pd.Series(["0.5", "1e-3"])).tolist() == [0.5, 1e-3]
    assert typed(pd.Series(["1", "post"])).tolist() == ["1", "post"]
    assert typed(pd.Series(["None", "None"])).isna().all()


def test_statuses_are_those_of_the_tag_and_mlflows_finished_proves_nothing_without_it(tables, tmp_path):
    expected = {(1, 100, 1): schema.FINISHED, (25, 30, 2): schema.FAILED, (25, 30, 1): schema.DIVERGED,
                (5, 30, 2): schema.KILLED, (1, 30, 2): schema.RUNNING}  # fmt: skip
    assert {cell: run(tables, study().runs[cell])["status"] for cell in expected} == expected
    store = Store(tmp_path)
    for seed, status in enumerate(("FINISHED", "KILLED")):
        store.record(1, 100, seed, None, mlflow_status=status)
    assert stores.read(store.uri, EXPERIMENT).runs["status"].tolist() == [UNKNOWN, schema.KILLED]


def test_nan_and_infinity_are_mapped_back(tables):
    history = tables.history[tables.history["run_id"] == study().runs[25, 30, 1]].set_index("epoch")[LOSS]
    assert history[1] == 150.0
    assert history[2] == math.inf
    assert math.isnan(history[3])


def test_history_has_the_later_record_of_a_step_and_runs_have_the_last_of_each_metric(tables):
    history = tables.history[tables.history["run_id"] == study().runs[5, 100, 0]]
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history.set_index("epoch")[LOSS][2] == 77.0
    assert len(tables.history) == EPOCHS * len(tables.runs)
    assert not [name for name in tables.history if name.startswith(("final/", "run/"))]
    one = run(tables, study().runs[5, 100, 1])
    assert (one[NLL], one[LOSS]) == pytest.approx((final_nll(5, 100, 1), final_nll(5, 100, 1) + 20 / EPOCHS))


def test_the_public_client_reads_the_same_tables(tables, monkeypatch):
    monkeypatch.setattr(database, "KNOWN_REVISIONS", frozenset())
    through_client = stores.read(study().uri, EXPERIMENT)
    pd.testing.assert_frame_equal(through_client.runs, tables.runs, check_like=True)
    pd.testing.assert_frame_equal(through_client.history, tables.history, check_like=True)


def test_reading_changes_nothing_and_works_beside_a_writer(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0)
    with sqlite3.connect(store.file) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO tags SELECT 'late', 'x', run_uuid FROM runs")
        before = hashlib.sha256(store.file.read_bytes()).hexdigest()
        assert "tags.late" not in stores.read(store.uri, EXPERIMENT).runs
        assert hashlib.sha256(store.file.read_bytes()).hexdigest() == before
    writer.close()


def test_runs_without_metrics_are_runs(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0, schema.FAILED, metrics={key: [] for key in curve(1, 100, 0)})
    tables = stores.read(store.uri, EXPERIMENT)
    assert (len(tables.runs), len(tables.history)) == (1, 0)


def damaged(path: Path) -> str:
    """A copy of a store with its middle overwritten."""
    content = bytearray(study().file.read_bytes())
    content[4096 : len(content) // 2] = bytes(len(content) // 2 - 4096)
    path.write_bytes(content)
    return f"sqlite:///{path}"


@pytest.mark.parametrize("eighth", range(8))
def test_a_store_with_a_damaged_page_is_refused_or_read_in_full(tables, tmp_path, eighth):
    content = bytearray(study().file.read_bytes())
    start = max(4096, len(content) * eighth // 8 // 4096 * 4096)
    content[start : start + 8192] = bytes(8192)
    (tmp_path / "mlflow.db").write_bytes(content)
    with suppress(ReportError):
        found = stores.read(f"sqlite:///{tmp_path}/mlflow.db", EXPERIMENT)
        pd.testing.assert_frame_equal(found.runs, tables.runs)
        pd.testing.assert_frame_equal(found.history, tables.history)


def test_sqlites_types_are_known_where_its_first_rows_have_no_value(tmp_path):
    store = Store(tmp_path)
    store.record(1, 100, 0, schema.RUNNING, metrics={key: [2, 1] for key in curve(1, 100, 0)})
    with sqlite3.connect(store.file) as writer:
        writer.execute("UPDATE runs SET name = NULL, end_time = NULL")
        writer.execute("UPDATE tags SET value = NULL WHERE key = 'machinery'")
    writer.close()
    tables = stores.read(store.uri, EXPERIMENT)
    assert tables.runs["end_time"].isna().all()
    assert (tables.runs.loc[0, "tags.status"], tables.runs.loc[0, "run_name"]) == (schema.RUNNING, "")
    assert tables.history[LOSS].tolist() == [2.0, 1.0]


def test_stores_that_cannot_be_read_are_refused_with_a_message(tmp_path):
    text, empty = tmp_path / "text.db", tmp_path / "empty.db"
    text.write_text("no database, however long this text may be" * 10)
    empty.touch()
    cases = {
        f"sqlite:///{tmp_path}/none.db": "store must be a file of MLflow",
        f"sqlite:///{text}": "file is not a database",
        f"sqlite:///{empty}": "no such table",
        damaged(tmp_path / "damaged.db"): "one that can be read",
        "ftp://nowhere": "ftp://nowhere .no such file",
    }
    for uri, message in cases.items():
        with pytest.raises(ReportError, match=message):
            stores.read(uri, EXPERIMENT)


def test_an_experiment_that_is_not_there_or_empty_is_refused(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(ReportError, match="experiment must be one of Default, vae-mc-samples"):
        stores.read(store.uri, "typo")
    store.parent("a sweep whose cells never started")
    with pytest.raises(ReportError, match="experiment must be one with runs"):
        stores.read(store.uri, EXPERIMENT)
