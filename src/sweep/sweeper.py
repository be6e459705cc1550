"""The sweeper: expand the grid, check every cell, plan, launch, go on with what was lost, sum up."""

import logging
import os
import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from src import data, schema
from src.config import Config, ConfigError, StudyConfig, TrackingConfig, duration, title
from src.process import load
from src.recording import Runs, Study, provenance
from src.sweep.compose import composer, problems
from src.sweep.outcome import Outcome, Scene, conclude, ended_before
from src.sweep.past import Past, latest
from src.sweep.plan import Cell, Plan, Planned, counted, describe, make_plan, unique
from src.sweep.pool import CellLost, TimeLimitExceeded, usable_cores
from src.sweep.predict import matmul_rate, predict
from src.sweep.usage import explain

if TYPE_CHECKING:
    from src.recording import Run, Store

log = logging.getLogger(__name__)


class StudySweeper(BasicSweeper):
    """Hydra's basic sweeper, which knows what has been done before and lets no failure stop the rest."""

    # Hydra takes plugins of this package only.
    __module__ = "hydra_plugins.vae_mc_samples"

    def setup(self, **context: Any) -> None:
        """Take Hydra's context. Raises ConfigError for a launcher that is not installed or not set up as it should."""
        try:
            super().setup(**context)
        except RuntimeError as error:
            raise ConfigError(explain(error, [])) from error

    def sweep(self, arguments: list[str]) -> Any:
        """Run every cell of the grid that is not finished yet.

        Raises:
            ConfigError: some cells cannot be run, each distinct reason once, or their data or store cannot be had.
                Nothing has been started.
            UnfinishedError: some cells did not finish.
        """
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        cells = self.cells(loader, arguments)
        first = cells[0].config
        for cell in cells:
            data.ensure(cell.config.data)
        # MLflow takes seconds to import, so the grid has been checked before.
        load("src.recording.mlflow_store")
        from src.recording import Store, recorder

        store, runs = Store(first.tracking), Runs(first.tracking)
        store.verify()
        recorder.clean_up(runs, store)
        past = store.past()
        plan = self.plan(cells, past, first.study)
        if first.study.rerun != "all":
            warn_of_lost_runs(plan, runs, first.tracking)
        log.info("%s", describe(plan, datetime.now(), free_disk_bytes(runs.root), psutil.virtual_memory().available))
        if first.study.plan_only:
            return []
        ended: list[Outcome] = []
        started = time.time()
        if not plan.launch:
            return conclude(plan, ended, started)
        with self.parent(runs, store, first.tracking) as parent:
            ended = self.go(plan.launch, parent, Scene(store, runs, started, ended_before(past)))
            return conclude(plan, ended, started)

    def cells(self, loader: ConfigLoader, arguments: list[str]) -> list[Cell]:
        """The checked cells of the grid, in its order, each once. Raises ConfigError for the grid as a whole."""
        assert self.config is not None
        parser = OverridesParser.create(config_loader=loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        (expanded,) = self.split_arguments(overrides, max_batch_size=None)
        configs = self.check(composer(loader, self.config), [list(cell) for cell in expanded])
        cells, repeated = unique(
            [
                Cell(tuple(overrides), config, provenance.fingerprint(config))
                for overrides, config in zip(expanded, configs, strict=True)
            ]
        )
        if repeated:
            log.info("%s of the grid left out, being the same as others", counted(repeated, "cell"))
        return cells

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

    def plan(self, cells: list[Cell], past: list[Past], study: StudyConfig) -> Plan:
        """What is to be run, in which order, and what it will take."""
        assert self.config is not None
        workers, threads = staff(self.config.hydra.launcher)
        return make_plan(
            cells,
            latest(past),
            study.rerun,
            lambda configs: predict(configs, past, platform.node(), lambda: matmul_rate() / workers, threads),
            duration(study.budget) if study.budget else None,
            workers,
        )

    @contextmanager
    def parent(self, runs: Runs, store: "Store", tracking: TrackingConfig) -> Iterator["Run"]:
        """The run of the whole grid, in the study's folder, known to the store before any cell starts."""
        from src.recording import Store, recorder

        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        name = " ".join(self.config.hydra.overrides.task) or folder.name
        ledger = runs.begin(folder, name, None, {}, {schema.SWEEP: folder.name})
        OmegaConf.save(self.config, folder / "multirun.yaml")
        recorder.deliver_if_possible(ledger, runs, store)
        try:
            with recorder.recording(ledger, runs, lambda: Store(tracking)) as run:
                yield run
        finally:
            # A store that has come back late has yet to hear how the last runs ended.
            recorder.clean_up(runs, store)

    def go(self, planned: list[Planned], parent: "Run", scene: Scene) -> list[Outcome]:
        """Launch the cells, and once more those that died with their process; they go on from their checkpoints."""
        found, late = self.launch(planned, parent, scene)
        died = [outcome for outcome in found if outcome.status == schema.KILLED and outcome.cell not in late]
        if not died:
            return found
        for outcome in died:
            log.warning(
                "%s: %s. It is continued once, from its last checkpoint", title(outcome.cell.config), outcome.note
            )
        repeated = [outcome.cell for outcome in died]
        again, _ = self.launch([item for item in planned if item.cell in repeated], parent, scene)
        return [outcome for outcome in found if outcome not in died] + again

    def launch(self, planned: list[Planned], parent: "Run", scene: Scene) -> tuple[list[Outcome], list[Cell]]:
        """Run cells on whichever launcher; returns how they ended, and which took more than their time."""
        assert self.launcher is not None
        study = Study(parent.key, parent.folder.name, [item.prediction.seconds for item in planned], scene.started)
        results: Sequence[JobReturn] = []
        with study.shared():
            try:
                results = self.launcher.launch([list(item.cell.overrides) for item in planned], initial_job_idx=0)
            except ConfigError:
                raise
            except Exception as error:
                log.error("The launcher gave up (%s: %s)", type(error).__name__, error)
        cells = [item.cell for item in planned]
        values = [result._return_value for result in results]
        lost = [(cell, value) for cell, value in zip(cells, values, strict=False) if isinstance(value, CellLost)]
        late = [cell for cell, value in lost if isinstance(value, TimeLimitExceeded)]
        return scene.after(cells, {cell.fingerprint: value for cell, value in lost}), late


def warn_of_lost_runs(plan: Plan, runs: Runs, tracking: TrackingConfig) -> None:
    """Say which cells would run again only because the store does not have what the ledgers do."""
    ledgers = [runs.latest(runs.home(item.cell.config, item.cell.fingerprint)) for item in plan.launch]
    lost = sum(ledger is not None and ledger.status == schema.FINISHED for ledger in ledgers)
    if lost:
        given = [f"{key}={value}" for key, value in vars(tracking).items() if value != vars(TrackingConfig())[key]]
        log.warning(
            "%s of this grid finished before according to %s, but the experiment has no run of them: they run again. "
            "To have those runs instead, send them to the store first: %s",
            counted(lost, "cell"),
            runs.root,
            " ".join(["python -m src.sync", *given]),
        )


def staff(launcher: DictConfig) -> tuple[int, str]:
    """How many cells a launcher runs at once on this machine, and with how many threads each, as their tag has it."""
    if "workers" not in launcher:
        return 1, os.environ.get("TF_NUM_INTRAOP_THREADS", "default")
    return launcher.workers or usable_cores(), str(launcher.threads)


def free_disk_bytes(folder: Path) -> float:
    """Room where a folder is, or will be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
