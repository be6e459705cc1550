"""The real command line against a real store, for tests from end to end."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from src import ROOT, schema
from src.config.settings import TrackingConfig
from src.recording import ledger
from src.recording.ledger import Ledger, Runs

SMALL = (
    "data.train_size=250",
    "data.test_size=120",
    "epochs=2",
    "evaluation.iw_samples=3",
    "evaluation.final_iw_samples=5",
)
# What a run can do without where something else is asked of it: both take seconds to compile.
BRIEF = ("probe.epochs=[]", "evaluation.quadrature=false")
# What a clock, not the computation, has made.
CLOCKED = frozenset(
    quantity.key
    for quantity in (
        schema.TRAIN_SECONDS,
        schema.TRAIN_IMAGES_PER_SECOND,
        schema.PROBE_SECONDS,
        schema.RUN_SECONDS,
        schema.RUN_PEAK_RSS_BYTES,
        schema.RUN_RATE,
    )
)
NOTHING: Mapping[str, str] = MappingProxyType({})


def with_faults(*faults: str) -> dict[str, str]:
    """The environment in which these faults happen, see tests/faults/sitecustomize.py."""
    return {"PYTHONPATH": str(Path(__file__).with_name("faults")), "FAULTS": "\n".join(faults)}


def wait_until(
    condition: Callable[[], object], command: subprocess.Popen[str] | None = None, seconds: float = 600
) -> None:
    """Wait for what is to happen while a command, if one is given, is under way."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert command is None or command.poll() is None, command.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Workplace:
    """A folder with a store of its own, where the project's commands are run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.database = folder / "mlflow.db"
        self.runs_folder = folder / "runs"

    def command(self, *overrides: str) -> list[str]:
        """The command for small runs in this place; options such as -m may stand among the overrides."""
        options = [item for item in overrides if item.startswith("-")]
        own = [item for item in overrides if not item.startswith("-")]
        places = (f"tracking.uri=sqlite:///{self.database}", f"tracking.runs={self.runs_folder}")
        settings = (*SMALL, *places, *own)
        return [sys.executable, "-m", "src.train", *options, *settings]

    def start(
        self, *overrides: str, environment: Mapping[str, str] = NOTHING, new_group: bool = False
    ) -> subprocess.Popen[str]:
        """The command under way, with variables of its environment beside this process's; in a group of its own."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        return subprocess.Popen(
            self.command(*overrides),
            cwd=ROOT,
            env={**inherited, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=new_group,
        )

    def train(
        self, *overrides: str, timeout: float = 600, environment: Mapping[str, str] = NOTHING
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*overrides, environment=environment)
        output, errors = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def sync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Bring the store up to date with the ledgers."""
        places = (f"uri=sqlite:///{self.database}", f"runs={self.runs_folder}")
        command = [sys.executable, "-m", "src.sync", *places, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)

    def ledgers(self) -> list[Ledger]:
        """Of all runs, oldest first."""
        found = Runs(TrackingConfig(runs=str(self.runs_folder))).newest_first()
        return sorted(found, key=lambda ledger: ledger.events[0]["time"])

    def cells(self, name: str = "K") -> list[Ledger]:
        """The ledgers of the cells whose folders' names begin so."""
        return [found for found in self.ledgers() if found.folder.parent.name.startswith(name)]

    def recorded(self) -> dict[str, tuple[str, list[str]]]:
        """What the ledgers hold: by their keys, the status and the metrics as text."""
        return {
            found.key: (
                found.status,
                sorted(
                    f"{key} {event['step']} {value}"
                    for event in found.of(ledger.METRICS)
                    for key, value in event["metrics"].items()
                ),
            )
            for found in self.ledgers()
        }

    def stored(self) -> dict[str, tuple[str, list[str]]]:
        """What the store holds, likewise. A row that is there twice is there twice."""
        keys = self.query("select run_uuid, value from tags where key = ?", schema.LEDGER)
        assert len({key for _, key in keys}) == len(keys)
        found = {}
        for run_id, key in keys:
            rows = self.query("select key, step, value, is_nan from metrics where run_uuid = ?", run_id)
            metrics = sorted(f"{name} {step} {float('nan') if is_nan else value}" for name, step, value, is_nan in rows)
            found[key] = (self.pairs("tags", run_id).get(schema.STATUS, schema.RUNNING), metrics)
        return found

    def query(self, sql: str, *values: object) -> list[tuple]:
        """Rows of the store; none where it has not been made yet."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql, values).fetchall()

    def pairs(self, table: str, run_id: str) -> dict[str, str]:
        """The tags or params of a run."""
        return dict(self.query(f"select key, value from {table} where run_uuid = ?", run_id))

    def history(self, run_id: str) -> dict[tuple[str, int], float]:
        """The metrics of a run by (key, step)."""
        rows = self.query("select key, step, value from metrics where run_uuid = ?", run_id)
        return {(key, step): value for key, step, value in rows}

    def runs(self) -> list[tuple[str, str]]:
        """(run id, MLflow status) in the order of their start."""
        return self.query("select run_uuid, status from runs order by start_time, rowid")
