"""Engines that run a grid: this project's, and others with the same training function.

Each is a module that is run with the same arguments, folder=FOLDER work=WORK and the grid as mc_samples=1,5 and so on,
see `cells.Cell`, and that keeps what it records in that folder.
"""

from typing import NamedTuple

from benchmarks import processes


class Engine(NamedTuple):
    """One engine.

    Attributes:
        module: the module of this package that is run.
        what: one line for --help.
        options: further arguments.
        needs: the package without which it cannot run.
        environment: whose packages it runs with, a name of `processes.python`; None: this project's.
    """

    module: str
    what: str
    options: tuple[str, ...] = ()
    needs: str = "hydra"
    environment: str | None = None

    def lacking(self) -> str | None:
        """Why it cannot run here; None where it can."""
        return processes.lacking(self.needs, self.environment)

    def seconds(self, *arguments: str) -> float:
        """Wall time of its command, from start to end. Raises ProcessFailed where it fails."""
        module = f"{__name__}.{self.module}"
        return processes.run(self.environment, "-m", module, *arguments, *self.options).seconds


BASELINE = "plain Hydra + MLflow"
POOL, OWN = "hydra/launcher=pool", "work=own"
ENGINES = {
    BASELINE: Engine("hydra_mlflow", "Hydra's multirun, MLflow on SQLite"),
    "mushin": Engine("mushin_sweep", "mushin's sweep, results in files", needs="mushin", environment="engines"),
    "Ray Tune": Engine("ray_tune", "a trial per core, MLflow on SQLite", needs="ray", environment="engines"),
    "this project, basic": Engine("project", "its sweeper and ledgers, Hydra's launcher"),
    "this project, pool": Engine("project", "its sweeper and ledgers, a worker per core", (POOL,)),
    "own cells, basic": Engine("project", "this project with all that its cells do", (OWN,)),
    "own cells, pool": Engine("project", "the same in the pool", (OWN, POOL)),
}
