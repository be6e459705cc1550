"""Runs and histories as two Parquet files, which colleagues get and git keeps: without paths, machines and users.

Values stay float64: with half the digits, paired differences of a rebuilt report would differ.
"""

import re
from pathlib import Path

import pandas as pd

from analysis.store.tables import EPOCH, RUN, ReportError, Tables
from src import schema
from src.refusal import refusal

RUNS_FILE = "runs.parquet"
# Columns that name a place, a machine, a process or a person, and notes, which are free text.
PRIVATE = re.compile(
    r"artifact_uri|data\.path|tracking\..*|tags\.(machine\.(host|system)|process\..*"
    r"|mlflow\.(?!runName$|parentRunId$|source\.git\.commit$).*)"
)
# The same in the name of a study, which is its command line.
GIVEN = re.compile(r"""(data\.path|tracking\.\w+)=("[^"]*"|'[^']*'|\S)*\s*""")


def shareable(tables: Tables) -> Tables:
    """The tables without what tells where and by whom the runs were made."""
    runs = tables.runs[[name for name in tables.runs if not PRIVATE.fullmatch(str(name))]]
    names = runs.filter(["run_name", "parent_name", f"tags.{schema.RUN_NAME}"])
    return Tables(runs.assign(**names.replace(GIVEN, "", regex=True)), tables.history)


def read_parquet(place: str) -> Tables:
    """The tables in a folder with runs.parquet and history.parquet, or in such a runs.parquet and the file beside it.
    Raises ReportError for other files, or none.
    """
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    files = [folder / RUNS_FILE if path.is_dir() else path, folder / schema.HISTORY_FILE]
    try:
        tables = Tables(*(pd.read_parquet(file) for file in files))
        lacking = ({"run_id", *RUN} - {*tables.runs}) | ({"run_id", EPOCH} - {*tables.history})
        if not lacking:
            return tables
        problem = f"without the columns {', '.join(sorted(lacking))}"
    except (OSError, ValueError) as error:  # pyarrow's error for a file that is no Parquet is a ValueError
        problem = f"{error}" if path.exists() else "no such file or folder"
    expected = (
        f"a folder with {RUNS_FILE} and {schema.HISTORY_FILE}, or sqlite:///FILE, postgresql://..., http(s)://..."
    )
    raise ReportError(refusal("store", expected, f"{place} ({problem})", "See --store."))
