"""The real command line against a real store, for tests from end to end."""

import io
import logging
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest import mock

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
# With one thread, sums are made in one order: a worker of the pool and a process of its own give the same bits.
ONE_THREAD = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")


def listen_to_signals() -> None:
    """End the inheritance of a shell's background job, which ignores SIGINT, as would all processes started here."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))


def started(
    *arguments: object, environment: Mapping[str, str] = NOTHING, new_group: bool = False
) -> subprocess.Popen[str]:
    """Python with these arguments under way, with variables beside this process's; in a group of its own."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=new_group,
    )


def ended(
    *arguments: object, environment: Mapping[str, str] = NOTHING, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """What becomes of Python with these arguments."""
    process = started(*arguments, environment=environment)
    output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def in_process(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m module` without a process of its own, for what trains nothing: a plan or a refusal takes no second."""
    output, errors, code = io.StringIO(), io.StringIO(), 0
    own, level = logging.getLogger("src"), logging.getLogger("src").level
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(sys, "argv", [module, *arguments]),
        mock.patch.object(logging.getLogger(), "handlers", [logging.StreamHandler(errors)]),
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as left:
            code = left.code
        finally:
            own.setLevel(level)
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


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
        """The arguments for small runs in this place; options such as -m may stand among the overrides."""
        options = [item for item in overrides if item.startswith("-")]
        own = [item for item in overrides if not item.startswith("-")]
        places = (f"tracking.uri=sqlite:///{self.database}", f"tracking.runs={self.runs_folder}")
        return [*options, *SMALL, *places, *own]

    def start(self, *overrides: str, **how: Any) -> subprocess.Popen[str]:
        """The command under way; how: as in `started`."""
        return started("-m", "src.train", *self.command(*overrides), **how)

    def train(self, *overrides: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """The command in a process of its own; how: as in `ended`."""
        return ended("-m", "src.train", *self.command(*overrides), **how)

    def plan(self, *overrides: str) -> subprocess.CompletedProcess[str]:
        """The command where it trains nothing."""
        return in_process("src.train", *self.command(*overrides))

    def sync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Bring the store up to date with the ledgers."""
        return in_process("src.sync", f"uri=sqlite:///{self.database}", f"runs={self.runs_folder}", *arguments)

    def ledgers(self) -> list[Ledger]:
        """Of all runs, oldest first."""
        found = Runs(TrackingConfig(runs=str(self.runs_folder))).newest_first()
        return sorted(found, key=lambda ledger: ledger.events[0]["time"])

    def cells(self, name: str = "K") -> list[Ledger]:
        """The ledgers of the cells whose folders' names begin so."""
        return [found for found in self.ledgers() if found.folder.parent.name.startswith(name)]

    def only_cell(self, name: str = "K") -> Ledger:
        (found,) = self.cells(name)
        return found

    def outcome(self, name: str = "K") -> tuple[dict[tuple[str, int], tuple[float, int]], list[bytes]]:
        """The numbers of the only such cell and the weights of the model that it has left, bit for bit."""
        import keras

        from src.vae import VAE

        cell = self.only_cell(name)
        vae = keras.saving.load_model(cell.folder / schema.MODEL_FILE)
        assert isinstance(vae, VAE)
        return self.numbers(cell.run_id), [value.tobytes() for value in vae.get_weights()]

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

    def numbers(self, run_id: str) -> dict[tuple[str, int], tuple[float, int]]:
        """(value, whether it is NaN) of a run's metrics by (key, step), without what a clock has made; each once."""
        rows = self.query("select key, step, value, is_nan from metrics where run_uuid = ?", run_id)
        found = {(key, step): (value, is_nan) for key, step, value, is_nan in rows}
        assert len(found) == len(rows)
        return {at: value for at, value in found.items() if at[0] not in CLOCKED}

    def runs(self) -> list[tuple[str, str]]:
        """(run id, MLflow status) in the order of their start."""
        return self.query("select run_uuid, status from runs order by start_time, rowid")
