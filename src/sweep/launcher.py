"""`hydra/launcher=pool`: Hydra's view of the pool of worker processes."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import ClassVar

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.config import Config, ConfigError, duration, is_duration
from src.recording import Study
from src.refusal import Domain, at_least, or_null, positive
from src.sweep.compose import composer
from src.sweep.pool import Pool, usable_cores

DOMAINS = {
    "workers": or_null(at_least(1, "null takes all usable cores.")),
    "threads": at_least(1, "The default is 1."),
    "time_limit": or_null(Domain("a duration such as 90s, 30m or 2h", is_duration, "null sets no limit.")),
    "recycle_gb": positive("The default is 2.0, in GiB."),
}


class PoolLauncher(Launcher):
    """Runs the cells of a grid in worker processes.

    Args:
        workers: processes at a time; None: one per usable core.
        threads: threads of TensorFlow in each worker.
        time_limit: what a cell may take, in seconds or as 90s, 30m or 2h; None: no limit.
        recycle_gb: resident memory in GiB above which a worker is replaced before its next cell.
    """

    # Hydra accepts plugins of this package only.
    __module__ = "hydra_plugins.vae_mc_samples"
    # Set by `register`: (settings, number, study) -> a run. A worker imports it, with TensorFlow.
    task: ClassVar[Callable[..., object]]

    def __init__(self, workers: int | None, threads: int, time_limit: str | float | None, recycle_gb: float):
        self.workers, self.threads, self.time_limit, self.recycle_gb = workers, threads, time_limit, recycle_gb

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what the cells share. Raises ConfigError for wrong arguments: Hydra wraps what a constructor raises."""
        wrong = [domain.refusals(f"hydra.launcher.{key}", getattr(self, key)) for key, domain in DOMAINS.items()]
        if any(wrong):
            raise ConfigError("\n".join(chain(*wrong)))
        self.folder = Path(config.hydra.sweep.dir)
        self.compose: Callable[[Sequence[str]], Config] = composer(hydra_context.config_loader, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run the cells, in their order as workers become free; one result per cell, in the order of the cells.

        The value of a cell that did not end well is its error: CellFailed, or CellLost where its worker ended first.
        """
        limit = None if self.time_limit is None else duration(self.time_limit)
        count = self.workers or usable_cores()
        pool = Pool(type(self).task, count, self.threads, limit, self.recycle_gb * 2**30)
        study = Study.load(self.folder)
        cells = [(self.compose(cell), number, study) for number, cell in enumerate(job_overrides, initial_job_idx)]
        return [
            JobReturn(
                overrides=list(cell),
                status=JobStatus.COMPLETED if error is None else JobStatus.FAILED,
                _return_value=error,
            )
            for cell, error in zip(job_overrides, pool.run(cells), strict=True)
        ]
