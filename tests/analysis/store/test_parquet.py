"""Files of a report are read like a store, and tell nobody where and by whom the runs were made."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import store as stores
from analysis.statistics import completeness
from analysis.store import RUNS_FILE, ReportError, Tables, shareable
from src import schema
from tests.stores import EXPERIMENT, Store, study

SECRET = "somewhere/of/someone"


def written(tables: Tables, folder: Path) -> Path:
    for name, table in tables._asdict().items():
        table.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def tables() -> Tables:
    return shareable(stores.read(study().uri, EXPERIMENT))


def test_a_folder_and_its_file_give_the_tables_that_were_written(tables, tmp_path):
    written(tables, tmp_path)
    for place in (tmp_path, tmp_path / RUNS_FILE):
        read = stores.read(str(place), "any")
        pd.testing.assert_frame_equal(read.runs, tables.runs)
        pd.testing.assert_frame_equal(read.history, tables.history)


def test_marked_runs_are_marked_again(tables, tmp_path):
    marked = completeness.mark(tables)
    written(tables._replace(runs=marked), tmp_path)
    pd.testing.assert_frame_equal(completeness.mark(stores.read(str(tmp_path), EXPERIMENT)), marked)


def test_no_path_and_no_name_of_a_machine_or_user_is_shared(tmp_path):
    store = Store(tmp_path / "someone")
    private = (schema.HOST, schema.PID, "mlflow.user", "mlflow.source.name", schema.NOTE, "machine.system")
    own = {**dict.fromkeys(private, SECRET), schema.CPU: "cpu", "mlflow.source.git.commit": "abc"}
    params = {"data.path": SECRET, "tracking.uri": f"sqlite:///{SECRET}/mlflow.db"}
    words = f"""mc_samples=1,5 tracking.uri=sqlite:///{SECRET} seed=1 data.path='{SECRET}/my data' epochs=2"""
    store.record(1, 100, 0, parent=store.parent(words), tags=own, params=params)
    tables = stores.read(store.uri, EXPERIMENT)
    assert "someone" in tables.runs.to_csv()
    shared = shareable(tables)
    assert "someone" not in shared.runs.to_csv()
    assert shared.runs["parent_name"][0] == "mc_samples=1,5 seed=1 epochs=2"
    assert {"tags.machine.cpu", "tags.mlflow.source.git.commit", "tags.mlflow.parentRunId"} <= set(shared.runs)
    pd.testing.assert_frame_equal(shared.history, tables.history)


def test_files_have_no_pictures(tables):
    assert stores.pictures(["folder"], tables.runs, schema.RECONSTRUCTIONS_FILE).empty


def test_runs_of_two_places_are_one_study(tables, tmp_path):
    """A half in a database, the rest, and two runs that are in both, in the files of a report."""
    runs = tables.runs["run_id"]
    elsewhere = tables.runs[runs.isin(runs[len(runs) // 2 - 2 :])]
    written(Tables(elsewhere, tables.history[tables.history["run_id"].isin(elsewhere["run_id"])]), tmp_path)
    here = stores.read(study().uri, EXPERIMENT)
    first = runs[: len(runs) // 2]
    half = Tables(here.runs[runs.isin(first)], here.history[here.history["run_id"].isin(first)])
    found = shareable(stores.together([half, stores.read(str(tmp_path), "any")]))
    pd.testing.assert_frame_equal(found.runs, tables.runs, check_like=True)
    pd.testing.assert_frame_equal(found.history, tables.history, check_like=True)


def test_a_parameter_that_is_a_number_in_one_place_and_a_word_in_another_is_a_word(tables):
    other = tables.runs.assign(run_id=tables.runs["run_id"] + "b", epochs="auto")
    found = stores.together([tables, Tables(other, tables.history.assign(run_id=tables.history["run_id"] + "b"))])
    assert set(found.runs["epochs"]) == {*tables.runs["epochs"].astype(str), "auto"}
    assert "epochs" in completeness.varying(found.runs)


def test_places_without_these_files_are_refused(tables, tmp_path):
    alone, text, other = (tmp_path / name for name in ("alone", "text", "other"))
    for folder in (alone, text, other):
        folder.mkdir()
        written(tables, folder)
    (alone / schema.HISTORY_FILE).unlink()
    (text / RUNS_FILE).write_text("no Parquet")
    tables.history.to_parquet(other / RUNS_FILE)
    tables.runs[["run_id"]].to_parquet(other / schema.HISTORY_FILE)
    for place, received in {
        tmp_path: "",
        tmp_path / "none": "no such file or folder",
        tmp_path / "none.parquet": "no such file or folder",
        alone: "history.parquet",
        text: "",
        other: "without the columns epoch",
    }.items():
        with pytest.raises(ReportError, match=rf"store must be .* Received: store={place} \(.*{received}"):
            stores.read(str(place), EXPERIMENT)
