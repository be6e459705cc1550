"""A cell that does nothing but be recorded: what is left is the engine. Run by `benchmarks.engine`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from src.sweep import register
from src.sweep.compose import typed


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def idle(cfg: DictConfig) -> None:
    from src import schema
    from src.recording import Runs, Store, fingerprint, recorder

    config = typed(cfg)
    assert HydraConfig.get().job.num is not None
    runs, identity = Runs(config.tracking), fingerprint(config)
    ledger = runs.begin(runs.home(config, identity) / "1", "idle", None, {}, {schema.FINGERPRINT: identity})
    with recorder.recording(ledger, runs, lambda: Store(config.tracking)):
        pass


if __name__ == "__main__":
    register()
    idle()
