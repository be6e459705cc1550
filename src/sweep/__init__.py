"""Plan, check and launch the cells of a grid: the Hydra side of the project."""

import os

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from src.config import Config
from src.sweep.usage import help_template


def register() -> None:
    """Make the typed configuration, the help text and the choice of sweeper known to Hydra."""
    OmegaConf.register_new_resolver("pid", os.getpid, replace=True)
    store = ConfigStore.instance()
    store.store(name="base", node=Config)
    store.store(group="hydra/help", name="study", node={"template": help_template()})
    store.store(
        group="hydra/sweeper",
        name="study",
        node={"_target_": "hydra_plugins.vae_mc_samples.StudySweeper", "max_batch_size": None, "params": None},
    )
