"""`hydra/launcher=pool`: Hydra's view of the pool of worker processes."""

from collections.abc import Callable, Sequence

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from src.config import Config, ConfigError, Domain, duration, is_duration, refusal
from src.sweep.compose import composer
from src.sweep.pool import Pool, usable_cores

# By name, as only a worker imports it, with TensorFlow.
TARGET = "src.run:run"


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
    """Runs the cells of a grid in worker processes.

    Args:
        workers: processes at a time; None: one per usable core.
        threads: threads of TensorFlow in each worker.
        time_limit: what a cell may take, in seconds or as 90s, 30m or 2h; None: no limit.
        recycle_gb: resident memory in GiB above which a worker is replaced before its next cell.
    """

    # Hydra accepts plugins of this package only.
    __module__ = "hydra_plugins.vae_mc_samples"

    def __init__(self, workers: int | None, threads: int, time_limit: str | float | None, recycle_gb: float):
        self.workers, self.threads, self.time_limit, self.recycle_gb = workers, threads, time_limit, recycle_gb

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what the cells share. Raises ConfigError for wrong arguments: Hydra wraps what a constructor raises."""
        wrong = [
            refusal(f"hydra.launcher.{key}", domain.expected, getattr(self, key), domain.remedy)
            for key, domain in DOMAINS.items()
            if not domain.admits(getattr(self, key))
        ]
        if wrong:
            raise ConfigError("\n".join(wrong))
        self.compose: Callable[[Sequence[str]], Config] = composer(hydra_context.config_loader, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run the cells, in their order as workers become free; one result per cell, in the order of the cells.

        The value of a cell that did not end well is its error: CellFailed, or CellLost where its worker ended first.
        """
        limit = None if self.time_limit is None else duration(self.time_limit)
        count = self.workers or usable_cores()
        pool = Pool(TARGET, count, self.threads, limit, self.recycle_gb * 2**30)
        cells = [(initial_job_idx + place, self.compose(cell)) for place, cell in enumerate(job_overrides)]
        return [
            JobReturn(
                overrides=list(cell),
                status=JobStatus.COMPLETED if error is None else JobStatus.FAILED,
                _return_value=error,
            )
            for cell, error in zip(job_overrides, pool.run(cells), strict=True)
        ]
