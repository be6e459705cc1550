"""What runs in a worker process of the pool: cells, until it is told to leave or its parent is gone."""

import atexit
import logging
import os
import sys
import threading
from contextlib import ExitStack
from multiprocessing import parent_process
from typing import Protocol

import cloudpickle
import psutil
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus

from src.process import on_signal


class Runner(Protocol):
    """What runs one cell: the launcher, as it arrives here."""

    def run(self, number: int, overrides: list[str]) -> JobReturn: ...


launcher: Runner
leaving = threading.Lock()


def start(packed: bytes) -> None:
    """Begin a worker: it leaves when told to or when its parent is gone, prints what cells print, and knows its job."""
    global launcher
    life = ExitStack()
    life.enter_context(on_signal(lambda received: leave(f"ended by {received.name}", 128 + received)))
    # Before the interpreter stops its threads: the watcher would be waited for in vain.
    atexit.register(life.close)
    threading.Thread(target=leave_with_parent, name="parent-watcher", daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("src").setLevel(logging.INFO)
    launcher, singletons = cloudpickle.loads(packed)
    Singleton.set_state(singletons)


def leave(reason: str, code: int) -> None:
    """Close the open runs as killed and end the process; whoever comes second waits for that."""
    leaving.acquire()
    try:
        # Where it has not been imported, no run is open.
        if recorder := sys.modules.get("src.recording.recorder"):
            recorder.end_open_runs(reason)
    finally:
        os._exit(code)


def leave_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    leave("parent process ended", 1)


def run_cell(number: int, overrides: list[str]) -> tuple[bytes, int]:
    """Run a cell. Returns its pickled `JobReturn`, whatever happens, and the bytes of resident memory after it."""
    try:
        result = launcher.run(number, overrides)
    except BaseException as error:  # SystemExit too: a cell that wants to leave is no reason for its worker to
        result = failed(overrides, RuntimeError(described(error)))
    return pickled(result), psutil.Process().memory_info().rss


def pickled(result: JobReturn) -> bytes:
    """A result as bytes that can be read again: some exceptions can be pickled but not restored."""
    try:
        packed = cloudpickle.dumps(result)
        cloudpickle.loads(packed)
    except Exception:
        result.return_value = RuntimeError(described(result._return_value))
        return cloudpickle.dumps(result)
    return packed


def described(value: object) -> str:
    return f"{type(value).__name__}: {value}"


def failed(overrides: list[str], error: Exception) -> JobReturn:
    return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=error)
