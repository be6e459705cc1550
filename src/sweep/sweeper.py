"""The sweeper: expand the grid, check every cell, open the study's run, launch, sum up."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from omegaconf import OmegaConf

from src import data, schema
from src.config import Config, ConfigError
from src.sweep.compose import composer, problems
from src.sweep.study import Study, UnfinishedError, clock, predicted_cost
from src.sweep.usage import explain

log = logging.getLogger(__name__)


class StudySweeper(BasicSweeper):
    """Hydra's basic sweeper, which checks the whole grid before any cell starts and lets no failure stop the rest."""

    # Hydra takes plugins of this package only.
    __module__ = "hydra_plugins.vae_mc_samples"

    def sweep(self, arguments: list[str]) -> Any:
        """Run every cell of the grid.

        Raises:
            ConfigError: some cells cannot be run, each distinct reason once, or their data cannot be had. Nothing has
                been started.
            UnfinishedError: some cells did not finish.
        """
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        cells = self.expand(loader, arguments)
        configs = self.check(composer(loader, self.config), cells)
        for config in configs:
            data.ensure(config.data)
        from src import tracking

        store = tracking.Store(configs[0].tracking)
        sweep_dir = Path(self.config.hydra.sweep.dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep_dir / "multirun.yaml")
        name = " ".join(self.config.hydra.overrides.task) or sweep_dir.name
        started = time.perf_counter()
        with store.run(name, {}, {schema.SWEEP: sweep_dir.name}) as parent:
            costs = [predicted_cost(config) for config in configs]
            with Study(parent.id, sweep_dir.name, costs, time.time()).shared():
                results = self.launcher.launch(cells, initial_job_idx=0)
            self.sum_up(results, cells, time.perf_counter() - started)
        return results

    def expand(self, loader: ConfigLoader, arguments: list[str]) -> list[list[str]]:
        """The overrides of every cell of the grid, in its order, each cell once."""
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (cells,) = self.split_arguments(overrides, max_batch_size=None)
        return [list(cell) for cell in dict.fromkeys(map(tuple, cells))]

    def check(self, compose: Callable[[Sequence[str]], Config], cells: list[list[str]]) -> list[Config]:
        """The checked configuration of every cell. Raises ConfigError for the grid as a whole."""
        configs, refused = [], Counter[str]()
        for cell in cells:
            try:
                config = compose(cell)
                refused.update(problems(config))
                configs.append(config)
            except (ConfigError, HydraException) as error:
                refused[explain(error, cell)] += 1
        if refused:
            reasons = "\n".join(f"{reason} ({count} of {len(cells)} cells)" for reason, count in refused.items())
            raise ConfigError(f"The grid is refused; nothing was started.\n{reasons}")
        return configs

    def sum_up(self, results: Sequence[JobReturn], cells: list[list[str]], seconds: float) -> None:
        """Say how the cells ended. Raises UnfinishedError where one did not finish."""
        unfinished = [cell for cell, result in zip(cells, results, strict=True) if result.status != JobStatus.COMPLETED]
        log.info("%d of %d cells finished in %s", len(cells) - len(unfinished), len(cells), clock(seconds))
        for cell in unfinished:
            log.error("not finished: %s", " ".join(item for item in cell if any(item not in other for other in cells)))
        if unfinished:
            raise UnfinishedError(f"{len(unfinished)} of {len(cells)} cells did not finish")
