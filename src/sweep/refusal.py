"""Refusing a single run before Hydra makes a folder for it. A grid is checked by the sweeper."""

import sys
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from src import data
from src.config import ConfigError
from src.sweep.compose import check, typed
from src.sweep.usage import USAGE_ERROR


class RefuseFirst(Callback):
    """Ends the program before the run starts; of a callback's exceptions Hydra lets SystemExit alone through."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            run = check(typed(config))
            if run.study.plan_only or run.study.budget:
                raise ConfigError(
                    "study.plan_only and study.budget are for grids. Expected -m or +sweep=NAME. Received neither. "
                    "Plan this one run as a grid of one cell: python -m src.train -m study.plan_only=true ..."
                )
            data.ensure(run.data)
        except ConfigError as error:
            print(error, file=sys.stderr)
            raise SystemExit(USAGE_ERROR) from None
