"""A database of MLflow, SQLite or PostgreSQL, read in bulk by one SQL as Arrow tables. Nothing is written to it."""

import re
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pyarrow as pa
from adbc_driver_manager import dbapi
from adbc_driver_postgresql import dbapi as postgresql
from adbc_driver_sqlite import dbapi as sqlite

from analysis.store.tables import ReportError
from src.refusal import refusal

# Heads of MLflow's migrations whose tables the SQL below was checked against (MLflow 3.17).
KNOWN_REVISIONS = frozenset({"dc11669786a5"})
SQLITE = "sqlite:///"
TEXT, NUMBER, CODE = pa.string(), pa.int64(), pa.dictionary(pa.int32(), pa.string())
# What is read of each table; times are in ms. A million ids and keys are kept as codes.
COLUMNS = {
    "runs": {"run_id": TEXT, "run_name": TEXT, "status": TEXT, "start_time": NUMBER, "end_time": NUMBER}
    | {"artifact_uri": TEXT},
    "params": {"run_id": TEXT, "key": TEXT, "value": TEXT},
    "tags": {"run_id": TEXT, "key": TEXT, "value": TEXT},
    "metrics": {"run_id": CODE, "key": CODE, "step": NUMBER, "timestamp": NUMBER, "value": pa.float64()}
    | {"is_nan": pa.bool_()},
}
# MLflow's own names.
SOURCES = {"run_id": "run_uuid", "run_name": "name"}
# SQLite's driver takes a column's type from its first batch.
BATCH_ROWS = 32768
Records = list[pd.DataFrame]


def select(place: str, experiment: str) -> Records | None:
    """Runs, params, tags and metrics of an experiment from one snapshot; None where the tables are of another revision.

    Raises:
        ReportError: no such file or experiment, no connection, or a damaged database.
    """
    file = Path(place.removeprefix(SQLITE).split("?")[0])
    if place.startswith(SQLITE) and not file.is_file():
        raise ReportError(refusal("store", "a file of MLflow", place, "Train first: python -m src.train"))
    try:
        with closing(_connect(place, file)) as connection, closing(connection.cursor()) as cursor:
            # The first statement opens the transaction, and with it the snapshot.
            if place.startswith(SQLITE):
                cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
                cursor.execute("PRAGMA busy_timeout = 20000")
            else:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT version_num FROM alembic_version")
            if not {row[0] for row in cursor.fetchall()} <= KNOWN_REVISIONS:
                return None
            cursor.execute("SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = 'active'")
            names = dict(cursor.fetchall())
            if experiment not in names:
                raise no_experiment(experiment, names)
            return [_fetch(cursor, table, int(names[experiment])) for table in COLUMNS]
    except (dbapi.Error, pa.ArrowException, OSError) as error:
        raise unreadable(place, error) from error


def _connect(place: str, file: Path) -> dbapi.Connection:
    if place.startswith(SQLITE):
        return sqlite.connect(f"file:{quote(str(file))}?mode=ro")
    return postgresql.connect("postgresql://" + place.partition("://")[2])


def _fetch(cursor: dbapi.Cursor, table: str, experiment_id: int) -> pd.DataFrame:
    """The rows of the experiment's active runs. Texts are never NULL, so that a driver cannot mistake their type."""
    columns = COLUMNS[table]
    names = {name: SOURCES.get(name, name) for name in columns}
    terms = [f"COALESCE({names[name]}, '')" if kind == TEXT else names[name] for name, kind in columns.items()]
    cursor.execute(
        f"SELECT {', '.join(terms)} FROM {table} WHERE run_uuid IN "
        f"(SELECT run_uuid FROM runs WHERE experiment_id = {experiment_id} AND lifecycle_stage = 'active')"
    )
    schema = pa.schema(list(columns.items()))
    with cursor.fetch_record_batch() as reader:
        found = pa.Table.from_batches([_compact(batch, schema) for batch in reader], schema).unify_dictionaries()
    rows = found.to_pandas(split_blocks=True, self_destruct=True)
    pa.default_memory_pool().release_unused()
    return rows


def _compact(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A copy of a batch in the wanted types. SQLite has integers for booleans, and the drivers' buffers are up to twice
    as large as their content.
    """
    parts = [
        part.cast(TEXT).dictionary_encode() if kind == CODE else part.cast(kind)
        for part, kind in zip(batch.columns, schema.types, strict=True)
    ]
    return pa.record_batch(parts, schema=schema).copy_to(pa.default_cpu_memory_manager())


def unreadable(place: str, error: Exception) -> ReportError:
    """The refusal of a place that cannot be read, without user and password."""
    shown = re.sub(r"(?<=://)[^@/]*@", "", f"{place} ({' '.join(str(error).split())})")
    return ReportError(refusal("store", "one that can be read", shown, "Restore it, or name another one."))


def no_experiment(experiment: str, names: Iterable[str]) -> ReportError:
    return ReportError(refusal("experiment", f"one of {', '.join(sorted(names))}", experiment, "See --experiment."))
