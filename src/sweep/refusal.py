"""Refusing a single run before Hydra makes a folder for it. A grid is checked by the sweeper."""

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from src import data
from src.config import ConfigError
from src.sweep.compose import check, typed


class RefuseFirst(Callback):
    """Ends the program before the run starts; of a callback's exceptions Hydra lets SystemExit alone through."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            data.ensure(check(typed(config)).data)
        except ConfigError as error:
            raise SystemExit(str(error)) from None
