"""The sweeper: expand the grid, check every cell, plan, launch, continue what was lost, sum up."""

import logging
import math
import os
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from src import data, inference, recording, schema
from src.config import Config, ConfigError, StudyConfig, duration, title
from src.inference import Answer, Contrast, Design, answers, command
from src.recording import Cost, Ledger, Runs, Study, UnfinishedError
from src.sweep import factories
from src.sweep.compose import check, composer, expand
from src.sweep.decision import (
    design_of,
    judged,
    needed,
    next_wave,
    price,
    record_design,
    seeds_of_study,
)
from src.sweep.help import explain
from src.sweep.ledgers import outcome, representative
from src.sweep.plan import Cell, Outcome, Plan, Planned, make_plan
from src.sweep.pool import CellLost, TimeLimitExceeded, usable_cores
from src.sweep.words import describe, summary, varying
from src.writing import plural, render

log = logging.getLogger(__name__)

# The folder of all studies, below that of the runs.
STUDIES = "studies"
UNFINISHED = (schema.FAILED, schema.DIVERGED, schema.KILLED)


class StudySweeper(Sweeper):
    """Runs the cells of a grid that have not finished yet; the failure of one does not stop the others.

    Args:
        params: swept values of a named study, by key, as on the command line.
    """

    # Hydra accepts plugins of this package only.
    __module__ = "hydra_plugins.vae_mc_samples"

    def __init__(self, params: dict[str, str] | None):
        self.params = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take Hydra's context. Raises ConfigError for a launcher that is not installed or has wrong arguments."""
        self.hydra_context, self.config = hydra_context, config
        try:
            self.launcher: Launcher = Plugins.instance().instantiate_launcher(
                hydra_context=hydra_context, task_function=task_function, config=config
            )
        except RuntimeError as error:
            raise ConfigError(explain(error, [])) from error

    def sweep(self, arguments: list[str]) -> list[Outcome]:
        """Run every cell of the grid that is not finished yet, with study.until=decided as far as they are needed.

        Raises:
            ConfigError: some cells cannot be run, each distinct reason once, or their data or tracker cannot be used.
                Nothing has been started.
            UnfinishedError: some cells did not finish.
        """
        assert self.config is not None
        cells = self.cells(arguments)
        study = cells[0].config.study
        for cell in cells:
            data.ensure(cell.config.data)
        factories.ensure([cell.config for cell in cells])
        runs, started = Runs(cells[0].config.tracking), time.monotonic()
        design, plan = design_of(study, cells), self.plan(cells, runs, study)
        look = partial(judged, cells, runs, design)
        ended, found = list[Outcome](), look()
        if study.until:
            plan = needed(plan, found)
        log.info("%s", describe(plan, datetime.now(), free_disk_bytes(runs.root), psutil.virtual_memory().available))
        if study.until:
            log.info("%s", price(plan, design, found))
        if study.plan_only:
            return []
        launched = next_launch(plan, ended, study, started, found)
        if study.until and record_design(design, runs.root / STUDIES, cells) and len(plan.launch) < len(cells):
            log.warning("Some runs are older than this design: it holds only if it was not chosen by looking at them.")
        given = self.config.hydra.overrides
        again = partial(command, [*given.task, *given.hydra], design, cells[0].config.seed)
        if not launched:
            if any(runs.unsent_ledgers()):
                recording.open_and_catch_up(runs)
            return conclude(plan, ended, started, answers(found, again))
        with self.parent(runs, design) as ledger:
            while launched:
                ended += self.launch_with_retry(launched, ledger, runs)
                found = look()
                if study.until:
                    log.info("%s", render(inference.CONTRASTS, contrasts=found))
                launched = next_launch(plan, ended, study, started, found)
            return conclude(plan, ended, started, answers(found, again, plan.workers))

    def cells(self, arguments: list[str]) -> list[Cell]:
        """The checked cells of the grid, in its order, each once. Raises ConfigError for the grid as a whole."""
        assert self.config is not None
        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        own = {key: values for key, values in self.params.items() if key != "seed" or not self.config.study.until}
        given = [*(f"{key}={values}" for key, values in own.items()), *arguments]
        parse, compose = OverridesParser.create(config_loader=loader).parse_overrides, composer(loader, self.config)
        grid = expand(parse(given))
        configs = check(compose, grid)
        if configs[0].study.until:
            grid = expand(parse([*given, f"seed={seeds_of_study(configs)}"]))
            configs = check(compose, grid)
        cells = [
            Cell(tuple(cell), config, recording.fingerprint(config), data.digest(config.data))
            for cell, config in zip(grid, configs, strict=True)
        ]
        first = {cell.fingerprint: number for number, cell in reversed(list(enumerate(cells)))}
        if repeated := len(cells) - len(first):
            log.info("%s of the grid left out, being the same as others", plural(repeated, "cell"))
        return [cells[number] for number in sorted(first.values())]

    def plan(self, cells: list[Cell], runs: Runs, study: StudyConfig) -> Plan:
        """What is to be run, in which order, and what it will take, from the ledgers alone."""
        assert self.config is not None
        workers, threads = workers_and_threads(self.config.hydra.launcher)
        found = {cell.fingerprint: representative(cell, runs) for cell in cells}
        known = {key: ledger for key, ledger in found.items() if ledger}

        def expected(configs: Sequence[Config]) -> list[Cost]:
            return recording.costs(
                configs, runs.newest_first(), platform.node(), threads, lambda: recording.matmul_rate() / workers
            )

        budget = duration(study.budget) if study.budget and not study.until else None
        return make_plan(cells, known, study.rerun, expected, budget, workers)

    @contextmanager
    def parent(self, runs: Runs, design: Design) -> Iterator[Ledger]:
        """The run of the whole grid, in the study's folder, with its design. The tracker has it before any cell."""
        assert self.config is not None
        tracker = recording.open_and_catch_up(runs)
        folder = Path(self.config.hydra.sweep.dir)
        name = " ".join(self.config.hydra.overrides.task) or folder.name
        ledger = runs.begin(folder, name, None, design.params, {schema.SWEEP: folder.name})
        OmegaConf.save(self.config, folder / "multirun.yaml")
        recording.upload_if_possible(ledger, runs, tracker)
        try:
            with recording.record(ledger, runs):
                yield ledger
        finally:
            recording.catch_up(runs, tracker)  # a tracker that was down may have missed how the last cells ended

    def launch_with_retry(self, planned: list[Planned], ledger: Ledger, runs: Runs) -> list[Outcome]:
        """Launch the cells, and once more those whose worker died; they continue from their checkpoints."""
        found, late = self.launch(planned, ledger, runs)
        died = [each for each in found if each.status == schema.KILLED and each.cell not in late]
        if not died:
            return found
        for each in died:
            log.warning("%s: %s. It is continued once, from its last checkpoint", title(each.cell.config), each.note)
        repeated = [each.cell for each in died]
        again, _ = self.launch([item for item in planned if item.cell in repeated], ledger, runs)
        return [each for each in found if each not in died] + again

    def launch(self, planned: list[Planned], ledger: Ledger, runs: Runs) -> tuple[list[Outcome], list[Cell]]:
        """Run cells on whichever launcher; returns how they ended, and which exceeded their time limit."""
        assert self.launcher is not None
        cells, costs = [item.cell for item in planned], [item.cost.seconds for item in planned]
        before = [runs.progress(runs.home(cell.config, cell.fingerprint)) for cell in cells]
        Study(ledger.key, ledger.folder.name, costs, time.time(), before, varying(cells)).save(ledger.folder)
        results: Sequence[JobReturn] = []
        try:
            results = self.launcher.launch([list(cell.overrides) for cell in cells], initial_job_idx=0)
        except ConfigError:
            raise
        except Exception as error:
            log.error("The launcher gave up (%s: %s)", type(error).__name__, error)
        values = [result._return_value for result in results]
        lost = {cell.fingerprint: v for cell, v in zip(cells, values, strict=False) if isinstance(v, CellLost)}
        late = [cell for cell in cells if isinstance(lost.get(cell.fingerprint), TimeLimitExceeded)]
        ends = zip(cells, before, strict=True)
        return [outcome(cell, runs, was, lost.get(cell.fingerprint)) for cell, was in ends], late


def next_launch(
    plan: Plan, ended: list[Outcome], study: StudyConfig, started: float, found: list[Contrast]
) -> list[Planned]:
    """The cells to launch next: all at once, or whole seeds until every comparison is decided or time is over."""
    if not study.until:
        return [] if ended else plan.launch
    left = started + duration(study.budget) - time.monotonic() if study.budget else math.inf
    return next_wave(plan, [each.cell for each in ended], found, left)


def conclude(plan: Plan, ended: list[Outcome], started: float, found: list[Answer]) -> list[Outcome]:
    """Report how a grid went, its answer last. Raises UnfinishedError where some of its cells are not finished."""
    log.info("%s", summary(plan, ended, time.monotonic() - started))
    if found:
        log.info("%s", render(inference.ANSWER, answers=found))
    unfinished = sum(each.status in UNFINISHED for each in [*plan.settled, *ended])
    if unfinished:
        raise UnfinishedError(f"{plural(unfinished, 'cell')} did not finish")
    return ended


def workers_and_threads(launcher: DictConfig) -> tuple[int, str]:
    """How many cells a launcher runs at once on this machine, and with how many threads each, as their tag has it."""
    if "workers" not in launcher:
        return 1, os.environ.get("TF_NUM_INTRAOP_THREADS", "default")
    return launcher.workers or usable_cores(), str(launcher.threads)


def free_disk_bytes(folder: Path) -> float:
    """Free space where a folder is, or will be."""
    return shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
