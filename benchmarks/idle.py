"""A cell that does nothing but be recorded: what is left is the engine. Run by `benchmarks.engine`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src import schema
from src.config import Config
from src.recording import Runs, fingerprint, record
from src.sweep import launcher, register, typed


def run(config: Config, number: int) -> None:
    runs, identity = Runs(config.tracking), fingerprint(config)
    ledger = runs.begin(runs.home(config, identity) / "1", "idle", None, {}, {schema.FINGERPRINT: identity})
    with record(ledger, runs):
        pass


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def idle(cfg: DictConfig) -> None:
    run(typed(cfg), HydraConfig.get().job.num)


if __name__ == "__main__":
    launcher.TARGET = "benchmarks.idle:run"
    register()
    idle()
