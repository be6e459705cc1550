"""A grid with this project's sweeper, launchers and ledgers: cells of `cells.WORK`, or its own (work=own)."""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from benchmarks.engines.cells import WORK
from src import schema
from src.config import Config, flatten
from src.recording import Runs, Study, fingerprint, record
from src.run import run
from src.sweep import PoolLauncher, register, typed

OWN = "own"  # the project's own runs: probes, scores, pictures and all


def record_run(work: str, config: Config) -> None:
    """Record a cell in a ledger, of which the store gets a copy."""
    runs, identity = Runs(config.tracking), fingerprint(config)
    tags = {schema.FINGERPRINT: identity}
    ledger = runs.begin(runs.home(config, identity) / "1", work, None, flatten(config), tags)
    with record(ledger, runs) as recorder:
        WORK[work](config, lambda epoch, metrics: recorder.log(metrics, epoch))


def trained(config: Config, number: int, study: Study) -> None:
    record_run("trained", config)


def empty(config: Config, number: int, study: Study) -> None:
    record_run("empty", config)


TASKS = {OWN: run, "trained": trained, "empty": empty}


@hydra.main(version_base="1.3", config_path="../../conf", config_name="config")
def cell(cfg: DictConfig) -> None:
    study = Study.load(Path(HydraConfig.get().sweep.dir))
    PoolLauncher.task(typed(cfg), HydraConfig.get().job.num, study)


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    folder, work, images = (given.pop(key) for key in ("folder", "work", "images"))
    places = [f"tracking.uri=sqlite:///{folder}/mlflow.db", f"tracking.runs={folder}/runs"]
    overrides = [f"{key}={value}" for key, value in given.items()]
    sys.argv[1:] = ["-m", *overrides, f"data.train_size={images}", *places]
    from benchmarks.engines import project  # by its name, by which a worker imports it

    register(project.TASKS[work])
    cell()
