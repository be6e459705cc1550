"""Plan, check and launch the cells of a grid: the Hydra side of the project."""

import os

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from src import ROOT
from src.config import Config, TrackingConfig
from src.recording import Runs
from src.sweep.usage import help_template


def register() -> None:
    """Make the typed configuration, the help text and the choice of sweeper known to Hydra."""
    # Kept with the configuration, as its folder is made anew by workers, whose number is another.
    OmegaConf.register_new_resolver("pid", os.getpid, replace=True, use_cache=True)
    OmegaConf.register_new_resolver("runs", lambda path: str(Runs(TrackingConfig(runs=path)).root), replace=True)
    OmegaConf.register_new_resolver("floor_div", lambda a, b: int(a) // int(b), replace=True)
    store = ConfigStore.instance()
    store.store(name="base", node=Config)
    store.store(group="hydra/help", name="study", node={"template": help_template()})
    store.store(
        group="hydra/sweeper",
        name="study",
        node={"_target_": "hydra_plugins.vae_mc_samples.StudySweeper", "max_batch_size": None, "params": None},
    )
    store.store(
        group="hydra/launcher",
        name="pool",
        node={
            "_target_": "hydra_plugins.vae_mc_samples.PoolLauncher",
            "workers": None,
            "threads": 1,
            "time_limit": None,
            "recycle_gb": 2.0,
        },
    )
    for study in sorted((ROOT / "sweeps").glob("*.yaml")):
        store.store(group="sweep", name=study.stem, node=OmegaConf.load(study), package="_global_")
