"""A launcher that runs the cells of a grid in several processes, and that outlives the loss of any of them.

Every worker is a Pebble pool of one process, served by a thread of its own. The threads take cells from one queue, so
cells begin in their order, a worker's death is the loss of one cell, and one worker can be replaced by itself.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from multiprocessing import resource_tracker
from queue import SimpleQueue
from weakref import WeakSet

import cloudpickle
import psutil
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, env_override, run_job
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict
from pebble import CONSTS, ProcessExpired, ProcessPool

from src.config import ConfigError, Domain, clock, duration, is_duration, refusal
from src.sweep.worker import described, failed, run_cell, start

# Between Pebble's SIGTERM and SIGKILL: a run that is being killed waits up to 5 seconds for its store.
CONSTS.term_timeout = 8
LIVENESS_SECONDS = 0.5
# What `end_workers` ends, and what it shuts behind itself.
pools: WeakSet[ProcessPool] = WeakSet()
gate = threading.Lock()


class CellLost(RuntimeError):
    """A cell that ended without a word of its own."""


class WorkerDied(CellLost):
    """The cell's process died: by a signal, for want of memory, or by leaving."""


class TimeLimitExceeded(CellLost):
    """The cell took longer than it may, and was ended."""


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


DOMAINS = {
    "workers": Domain("a positive integer or null", lambda n: n is None or is_count(n), "null takes all usable cores."),
    "threads": Domain("a positive integer", is_count, "The default is 1."),
    "time_limit": Domain(
        "a duration such as 90s, 30m or 2h, or null", lambda t: t is None or is_duration(t), "null sets no limit."
    ),
    "recycle_gb": Domain(
        "a positive number", lambda gb: isinstance(gb, int | float) and gb > 0, "The default is 2.0, in GiB."
    ),
}


class PoolLauncher(Launcher):
    """Runs cells in worker processes, each of them many cells, so that TensorFlow is imported once per worker.

    Args:
        workers: processes at a time; None: one per usable core.
        threads: threads of TensorFlow in each worker.
        time_limit: what a cell may take, in seconds or as 90s, 30m or 2h; None: no limit.
        recycle_gb: resident memory in GiB above which a worker is replaced before its next cell.
    """

    # Hydra takes plugins of this package only.
    __module__ = "hydra_plugins.vae_mc_samples"

    def __init__(self, workers: int | None, threads: int, time_limit: str | float | None, recycle_gb: float):
        self.workers, self.threads, self.time_limit, self.recycle_gb = workers, threads, time_limit, recycle_gb

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what the cells share. Raises ConfigError for wrong arguments: Hydra wraps what a constructor raises."""
        received = {key: getattr(self, key) for key in DOMAINS}
        wrong = [
            refusal(f"hydra.launcher.{key}", domain.expected, received[key], domain.remedy)
            for key, domain in DOMAINS.items()
            if not domain.admits(received[key])
        ]
        if wrong:
            raise ConfigError("\n".join(wrong))
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run the cells, in their order as workers become free.

        Returns:
            One result per cell, in the order of the cells. That of a lost cell has a `CellLost` in place of its value,
            and no configuration.
        """
        count = self.workers or usable_cores()
        packed = cloudpickle.dumps((self, Singleton.get_state()))
        cells: SimpleQueue[tuple[int, Sequence[str]] | None] = SimpleQueue()
        for cell in [*enumerate(job_overrides), *[None] * count]:
            cells.put(cell)
        results: dict[int, JobReturn] = {}

        def serve() -> None:
            # Workers inherit this. Ctrl-C reaches the whole program at once, but is for this process to act on.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            with closing(Worker(packed, self.time_limit, self.recycle_gb)) as worker:
                for place, overrides in iter(cells.get, None):
                    result = worker.run(initial_job_idx + place, list(overrides))
                    with gate:
                        results[place] = result

        with env_override(environment(self.threads)), ThreadPoolExecutor(count) as threads:
            resource_tracker.ensure_running()  # its start by a thread would unblock what the thread has blocked
            served = [threads.submit(serve) for _ in range(min(count, len(job_overrides)))]
        for service in served:
            service.result()
        return [results[place] for place in range(len(job_overrides))]

    def run(self, number: int, overrides: list[str]) -> JobReturn:
        """Run a cell here, in a worker."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return run_job(self.task_function, config, "hydra.sweep.dir", "hydra.sweep.subdir", self.hydra_context)


def end_workers() -> None:
    """End this program's workers, which close their runs first. For a program that leaves: `launch` never returns."""
    gate.acquire()
    for pool in list(pools):
        pool.stop()  # else it replaces what is ended
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + CONSTS.term_timeout
    for worker in workers:
        worker.join(max(0, deadline - time.monotonic()))


def usable_cores() -> int:
    """The cores that this process may use, where the system tells; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment(threads: int) -> dict[str, str]:
    """What workers find in their environment from their first instruction on, before any library reads it."""
    counts = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), str(threads))
    # When this process is killed, multiprocessing's tracker says what it cleans up.
    silence = "ignore::UserWarning:multiprocessing.resource_tracker"
    filters = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), silence]))
    # The bars of several workers would overwrite each other.
    return {**counts, "PYTHONWARNINGS": filters, "TQDM_DISABLE": "1"}


class Worker:
    """One process at a time, which is started when there is a cell for it and replaced when it is lost or too large.

    Args:
        packed: the pickled launcher and Hydra's singletons.
        time_limit: what a cell may take, as the launcher takes it.
        recycle_gb: resident memory in GiB above which the process is replaced.
    """

    def __init__(self, packed: bytes, time_limit: str | float | None, recycle_gb: float):
        self.packed, self.recycle_bytes = packed, recycle_gb * 2**30
        self.seconds = None if time_limit is None else duration(time_limit)
        self.pool: ProcessPool | None = None

    def run(self, number: int, overrides: list[str]) -> JobReturn:
        """The result of a cell, also of one that is lost."""
        try:
            packed, resident_bytes = self._call(number, overrides)
        except CellLost as error:
            # Pebble would start another process, but a dead one may have left the pool's locks closed.
            self.close()
            return failed(overrides, error)
        if resident_bytes > self.recycle_bytes:
            self.close()
        return cloudpickle.loads(packed)

    def close(self) -> None:
        """End the process, if there is one."""
        if self.pool is not None:
            self.pool.stop()
            self.pool.join()
            self.pool = None

    def _call(self, number: int, overrides: list[str]) -> tuple[bytes, int]:
        """What `run_cell` returns in the process. Raises CellLost."""
        try:
            if self.pool is None:
                context = multiprocessing.get_context("spawn")
                self.pool = ProcessPool(1, initializer=start, initargs=(self.packed,), context=context)
                pools.add(self.pool)
            pid = self.pool.schedule(os.getpid).result()
            cell = self.pool.schedule(run_cell, (number, overrides), timeout=self.seconds)
            while wait([cell], LIVENESS_SECONDS).not_done:
                # Pebble says nothing of a process that leaves with code 0.
                if not psutil.pid_exists(pid) and wait([cell], LIVENESS_SECONDS).not_done:
                    raise ProcessExpired("", code=0)
            return cell.result()
        except TimeoutError as error:
            raise TimeLimitExceeded(f"over its time limit of {clock(self.seconds or 0)}") from error
        except ProcessExpired as error:
            raise WorkerDied(f"the worker process ended with {exit_code(error.exitcode)}") from error
        except Exception as error:  # a pool whose process has died while idle, or could not start
            raise WorkerDied(f"the worker process failed: {described(error)}") from error


def exit_code(code: int) -> str:
    """An exit code in words, with the name of the signal that it tells of."""
    names = {-number: f" ({number.name})" for number in signal.Signals}
    return f"exit code {code}{names.get(code, '')}"
