"""Runs and histories as two Parquet files, which colleagues get and git keeps: without paths, machines and users.

Values stay float64: with half the digits a rebuilt report would differ in its paired differences, which are small.
"""

import re
from pathlib import Path

import pandas as pd

from analysis.store.tables import EPOCH, RUN, ReportError, Tables
from src import schema

RUNS_FILE = "runs.parquet"
# Columns that name a place, a machine, a process or a person; a run's note is free text.
PRIVATE = re.compile(
    r"artifact_uri|data\.path|tracking\..*|tags\.(machine\.(host|system)|process\..*"
    r"|mlflow\.(?!runName$|parentRunId$|source\.git\.commit$).*)"
)
# The same in the name of a study, which is its command line.
GIVEN = re.compile(r"""(data\.path|tracking\.\w+)=("[^"]*"|'[^']*'|\S)*\s*""")


def shareable(tables: Tables) -> Tables:
    """The tables without columns, and words of names, that tell where and by whom the runs were made."""
    runs = tables.runs[[name for name in tables.runs if not PRIVATE.fullmatch(str(name))]]
    names = runs.filter(["run_name", "parent_name", f"tags.{schema.RUN_NAME}"])
    return Tables(runs.assign(**names.replace(GIVEN, "", regex=True)), tables.history)


def read_parquet(place: str) -> Tables:
    """The tables in a folder with runs.parquet and history.parquet, or in such a runs.parquet and the file beside it.

    Raises:
        ReportError: there are no such files, or they hold something else.
    """
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    files = [folder / RUNS_FILE if path.is_dir() else path, folder / schema.HISTORY_FILE]
    try:
        tables = Tables(*(pd.read_parquet(file) for file in files))
        problem = ", ".join({"run_id", *RUN} - {*tables.runs}) or ", ".join({"run_id", EPOCH} - {*tables.history})
        if not problem:
            return tables
        problem = f"tables without the columns {problem}"
    except (OSError, ValueError) as error:  # pyarrow's error for a file that is no Parquet is a ValueError
        problem = f"the error: {error}" if path.exists() else "no file or folder of that name"
    raise ReportError(
        f"There are no runs in {place}. Expected a folder with {RUNS_FILE} and {schema.HISTORY_FILE}, as a report has "
        f"it; or sqlite:///FILE, postgresql://..., http(s)://... Received {problem}. Name another place with --store."
    )
