"""Cells on several worker processes at a time; the loss of a worker is the loss of one cell.

Every worker process is served by a thread. The threads take cells from one queue, so cells begin in their order. A
worker is in a process group of its own from its first instruction on: a signal to the program's group, as Ctrl-C in a
terminal, reaches the program alone, which then ends its workers.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from queue import Empty, SimpleQueue
from typing import Any

from src.process import EXIT_SECONDS, closed_on_exit
from src.sweep.worker import describe
from src.writing import clock

# A worker that is asked to end closes its run first. So long it may take where its cell is over its time limit, and
# where the program itself is being ended.
CLOSING_SECONDS, ENDING_SECONDS = EXIT_SECONDS + 2, EXIT_SECONDS - 3
# Not by -m: the package imports the module before it would run as a program.
WORKER = "import sys; from src.sweep.worker import main; main(int(sys.argv[1]))"
# Names of the signals by the exit code of a process that one of them ended.
SIGNAL_NAMES = {-number: f" ({number.name})" for number in signal.Signals}


class CellFailed(RuntimeError):
    """A cell that ended with an error of its own."""


class CellLost(RuntimeError):
    """A cell whose worker ended before it did."""


class WorkerDied(CellLost):
    """The worker was ended by a signal, for lack of memory, or by itself."""


class TimeLimitExceeded(CellLost):
    """The cell took longer than it may, and its worker was ended."""


def usable_cores() -> int:
    """The cores that this process may use, where the system tells; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """A worker's environment, which libraries read when they are imported. Progress bars would overwrite each other."""
    counts = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), str(threads))
    return {**os.environ, **counts, "TQDM_DISABLE": "1"}


@dataclass
class Pool:
    """Runs cells in worker processes, each of them many cells, so that TensorFlow is imported once per worker.

    Attributes:
        task: runs a cell; a function of a module, which the worker imports.
        workers: processes at a time.
        threads: threads of TensorFlow in each worker.
        time_limit: seconds that a cell may take; None for no limit.
        recycle_bytes: resident memory above which a worker is replaced before its next cell.
    """

    task: Callable[..., object]
    workers: int
    threads: int = 1
    time_limit: float | None = None
    recycle_bytes: float = 2.0 * 2**30
    running: list["Worker"] = field(default_factory=list)
    ending: bool = False

    def run(self, cells: Sequence[tuple[Any, ...]]) -> list[RuntimeError | None]:
        """Run cells, each given by the arguments of the task, in their order as workers become free.

        Returns:
            For each cell, in the order given: None where it ended well, else CellFailed or CellLost.
        """
        queue: SimpleQueue[tuple[int, tuple[Any, ...]]] = SimpleQueue()
        for placed in enumerate(cells):
            queue.put(placed)
        results: list[RuntimeError | None] = [None] * len(cells)

        def serve() -> None:
            worker = Worker(self)
            self.running.append(worker)
            with suppress(Empty):
                while not self.ending:
                    place, cell = queue.get_nowait()
                    results[place] = worker.run(cell)
            worker.close(CLOSING_SECONDS)

        count = min(self.workers, len(cells))
        with closed_on_exit(self.end), ThreadPoolExecutor(max(count, 1)) as threads:
            for service in [threads.submit(serve) for _ in range(count)]:
                service.result()
            if self.ending:
                threading.Event().wait()  # `leave` ends the process; there is no result to go on with
        return results

    def end(self, _: str) -> None:
        """End all workers, which close their runs first; kill those that take too long."""
        self.ending = True
        processes = [worker.process for worker in list(self.running) if worker.process is not None]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + ENDING_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.02)
        for process in processes:
            process.kill()


class Worker:
    """One process at a time, which is started when there is a cell for it and replaced when it is lost or too large."""

    def __init__(self, pool: Pool):
        self.pool = pool
        self.process: subprocess.Popen | None = None
        self.connection: Connection | None = None

    def run(self, cell: tuple[Any, ...]) -> RuntimeError | None:
        """Run a cell; returns its error, also where its process is lost."""
        try:
            error, resident_bytes = self._call(cell)
        except CellLost as lost:
            self.close(CLOSING_SECONDS)
            return lost
        if resident_bytes > self.pool.recycle_bytes:
            self.close(CLOSING_SECONDS)
        return None if error is None else CellFailed(error)

    def _call(self, cell: tuple[Any, ...]) -> tuple[str | None, int]:
        """What the process answers: the cell's error, and its resident memory in bytes. Raises CellLost."""
        if self.process is None or self.process.poll() is not None:
            self.close(0)
            self._start()
        assert self.connection is not None
        try:
            self.connection.send((self.pool.task, cell))
            if not self.connection.poll(self.pool.time_limit):
                raise TimeLimitExceeded(f"over its time limit of {clock(self.pool.time_limit or 0)}")
            return self.connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDied(f"the worker process ended with {self._exit_code(error)}") from error

    def _start(self) -> None:
        self.connection, child = Pipe()
        with child:
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER, str(child.fileno())],
                stdin=subprocess.DEVNULL,
                env=environment(self.pool.threads),
                pass_fds=(child.fileno(),),
                process_group=0,
            )

    def _exit_code(self, error: Exception) -> str:
        """The process's exit code in words; where it has not ended, the error that its connection gave."""
        assert self.process is not None
        try:
            code = self.process.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            return f"no exit code, but its connection broke ({describe(error)})"
        return f"exit code {code}{SIGNAL_NAMES.get(code, '')}"

    def close(self, seconds: float) -> None:
        """End the process, if there is one; kill it where it takes longer than this to close its run."""
        process, connection = self.process, self.connection
        if process is None or connection is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()
        connection.close()
        self.process = self.connection = None
