"""The same runs give the same tables from every kind of place: a file, PostgreSQL, a server, and a report's folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.image import imsave
from mlflow import MlflowClient
from sqlalchemy import MetaData, create_engine

from analysis import store as stores
from analysis.store import ReportError, Tables, database, reading, shareable
from src import schema
from tests import cluster
from tests.stores import EXPERIMENT, study

NO_STORE = cluster.missing(["psycopg"], ["initdb", "postgres"])
# Foreign keys point from later to earlier ones.
COPIED = ("experiments", "runs", "params", "tags", "metrics", "latest_metrics")


@pytest.fixture(scope="module")
def tables() -> Tables:
    return stores.read(study().uri, EXPERIMENT)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """A server on a copy of the study."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(study().file, folder / "mlflow.db")
    with cluster.mlflow_server(f"sqlite:///{folder}/mlflow.db", folder) as uri:
        yield uri


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """A database with what the study has recorded."""
    with cluster.postgresql() as uri:
        MlflowClient(uri).search_experiments()
        source, target, known = create_engine(study().uri), create_engine(uri), MetaData()
        known.reflect(source, only=COPIED)
        with source.connect() as here, target.begin() as there:
            there.execute(known.tables["experiments"].delete())
            for name in COPIED:
                table = known.tables[name]
                there.execute(table.insert(), [row._asdict() for row in here.execute(table.select())])
        source.dispose()
        target.dispose()
        yield uri


def same(found: Tables, expected: Tables) -> None:
    pd.testing.assert_frame_equal(found.runs, expected.runs, check_like=True)
    pd.testing.assert_frame_equal(found.history, expected.history, check_like=True)


def test_a_server_gives_the_tables_of_its_database(tables, server):
    same(stores.read(server, EXPERIMENT), tables)


@pytest.mark.parametrize(
    "changed",
    [{"BULK": "/no/such/request"}, {"BULK_RUNS": 2}, {"BULK_POINTS": 4}, {"BULK_POINTS": 2}],
    ids=["without the bulk request", "many requests", "answers that are cut off", "also those of one run"],
)
def test_a_server_gives_them_in_any_number_of_requests(tables, server, monkeypatch, changed):
    for name, value in changed.items():
        monkeypatch.setattr(reading, name, value)
    same(stores.read(server, EXPERIMENT), tables)


@pytest.mark.skipif(bool(NO_STORE), reason=NO_STORE)
def test_postgresql_gives_the_tables_of_a_file_whatever_its_driver_is_called(tables, postgresql):
    same(stores.read(postgresql, EXPERIMENT), tables)
    same(stores.read(postgresql.replace("+psycopg", ""), EXPERIMENT), tables)
    with pytest.raises(ReportError, match=f"experiment must be one of Default, {EXPERIMENT}"):
        stores.read(postgresql, "typo")


@pytest.mark.skipif(bool(NO_STORE), reason=NO_STORE)
def test_a_database_of_another_revision_is_read_through_the_client(tables, postgresql, monkeypatch):
    monkeypatch.setattr(database, "KNOWN_REVISIONS", frozenset())
    same(stores.read(postgresql, EXPERIMENT), tables)
    same(stores.read(study().uri, EXPERIMENT), tables)


def test_a_folder_gives_the_tables_without_what_is_private(tables, tmp_path):
    shared = shareable(tables)
    for name, table in shared._asdict().items():
        table.to_parquet(tmp_path / f"{name}.parquet", index=False)
    same(stores.read(str(tmp_path), EXPERIMENT), shared)


def test_a_servers_pictures_are_downloaded(server, tmp_path):
    client = MlflowClient(server)
    run_id = client.create_run(client.create_experiment("pictures", "mlflow-artifacts:/pictures")).info.run_id
    imsave(tmp_path / schema.LATENT_FILE, [[0.0, 1.0, 0.5]], cmap="gray")
    client.log_artifact(run_id, str(tmp_path / schema.LATENT_FILE))
    run = {"run_id": run_id, "mc_samples": 5, "batch_size": 100, "seed": 0}
    runs = pd.DataFrame([run | {"artifact_uri": client.get_run(run_id).info.artifact_uri}])
    found = stores.pictures(["a folder", server], runs, schema.LATENT_FILE)
    assert found[["mc_samples", "batch_size", "seed"]].to_numpy().tolist() == [[5, 100, 0]]
    assert found["image"][0].shape[:2] == (1, 3)
    assert stores.pictures(["a folder", server], runs, schema.MANIFOLD_FILE).empty


@pytest.mark.parametrize("place", ["http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/none"])
def test_servers_that_do_not_answer_are_refused(place, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ReportError, match="store must be one that can be read") as caught:
        stores.read(place, EXPERIMENT)
    assert "secret" not in str(caught.value)


def test_the_folder_of_a_file_may_have_any_name(tables, tmp_path):
    folder = tmp_path / "50%41 'of' #it"
    folder.mkdir()
    shutil.copy(study().file, folder / "mlflow.db")
    same(stores.read(f"sqlite:///{Path(folder)}/mlflow.db", EXPERIMENT), tables)
