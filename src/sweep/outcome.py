"""How the cells of a study ended, from what they have recorded, whichever launcher ran them."""

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from filelock import Timeout

from src import schema
from src.config import clock
from src.recording import Runs, UnfinishedError, held
from src.sweep.past import Past, latest
from src.sweep.plan import Cell, Plan, aligned, counted, labelled
from src.sweep.pool import CellLost

if TYPE_CHECKING:
    from src.recording import Store

log = logging.getLogger(__name__)

SKIPPED = "skipped"
UNENDED = "it had not ended when its launcher had"
# The order of the summary, and what it says of each.
STATUSES = {
    schema.FINISHED: "finished",
    SKIPPED: "skipped (finished before)",
    schema.FAILED: "failed",
    schema.DIVERGED: "diverged",
    schema.KILLED: "killed",
}


class Outcome(NamedTuple):
    """How a cell ended.

    Attributes:
        cell: the cell.
        status: one of STATUSES.
        run_id: of its run in the store; empty where the store has none yet.
        note: what went wrong.
    """

    cell: Cell
    status: str
    run_id: str
    note: str


def of_ledger(cell: Cell, runs: Runs, since: float) -> Outcome | None:
    """What this machine knows of a cell that was worked on after a time; None where that was elsewhere, or never."""
    ledger = runs.latest(runs.home(cell.config, cell.fingerprint))
    if ledger is None or ledger.events[-1]["time"] < since * 1000:
        return None
    status = schema.KILLED if ledger.status == schema.RUNNING else ledger.status
    return Outcome(cell, status, ledger.run_id, ledger.note or UNENDED if status == schema.KILLED else ledger.note)


def of_store(cell: Cell, found: Mapping[str, Past]) -> Outcome:
    """What a store knows of a cell."""
    run = found.get(cell.fingerprint)
    if run is None:
        return Outcome(cell, schema.KILLED, "", "it has left no trace: its worker died early, or was never started")
    status = schema.KILLED if run.status == schema.RUNNING else run.status
    return Outcome(cell, status, run.run_id, run.tags.get(schema.NOTE, "its process died without a word"))


def ended_before(past: Iterable[Past]) -> set[str]:
    """The ids of the runs that are over: what a study finds of theirs in the store is not its own doing."""
    return {run.run_id for run in past if run.status not in (schema.RUNNING, schema.KILLED)}


class Scene(NamedTuple):
    """Where a study takes place.

    Attributes:
        store: where the runs end up.
        runs: the ledgers of this machine, asked first: they know at once what a store may have yet to learn.
        started: when the study began, in seconds since the Unix epoch.
        before: ids of the runs of the store that were over by then.
    """

    store: "Store"
    runs: Runs
    started: float
    before: set[str]

    def after(self, cells: Sequence[Cell], lost: Mapping[str, CellLost]) -> list[Outcome]:
        """How cells ended that have just been launched.

        Args:
            cells: the cells.
            lost: by fingerprint, what befell the processes of those that did not end by themselves.
        """
        from src.recording import recorder

        for cell in cells:
            home = self.runs.home(cell.config, cell.fingerprint)
            # Where another sweep is at the cell, its ledger is not ours to write.
            with suppress(Timeout), held(home, timeout=0):
                ledger = self.runs.latest(home)
                if cell.fingerprint in lost and ledger is not None and ledger.status in (schema.RUNNING, schema.KILLED):
                    recorder.close(ledger, self.runs, f"{lost[cell.fingerprint]}")
        recorder.clean_up(self.runs, self.store)
        known = [of_ledger(cell, self.runs, self.started) for cell in cells]
        recorded = {} if all(known) else self.recorded()
        found = [outcome or of_store(cell, recorded) for cell, outcome in zip(cells, known, strict=True)]
        return [
            each._replace(note=f"{lost[each.cell.fingerprint]}")
            if each.status == schema.KILLED and each.cell.fingerprint in lost
            else each
            for each in found
        ]

    def recorded(self) -> dict[str, Past]:
        """The study's runs in the store; none where it does not answer, which costs a cell a look at its ledger."""
        try:
            return latest(run for run in self.store.past() if run.run_id not in self.before)
        except Exception as error:
            log.warning("The store does not answer (%s)", error)
            return {}


def conclude(plan: Plan, ended: Sequence[Outcome], started: float) -> list[Outcome]:
    """Say how a study went. Raises UnfinishedError where some of its cells are not finished."""
    log.info("%s", summary(plan, ended, time.time() - started))
    unfinished = len(plan.kept) + sum(outcome.status != schema.FINISHED for outcome in ended)
    if unfinished:
        raise UnfinishedError(f"{counted(unfinished, 'cell')} did not finish")
    return list(ended)


def summary(plan: Plan, ended: Sequence[Outcome], seconds: float) -> str:
    """What a user reads at the end: how many cells ended how, and every cell with its run, what went wrong last."""
    skipped = [Outcome(cell, SKIPPED, past.run_id, "") for cell, past in plan.skipped]
    left = [Outcome(cell, past.status, past.run_id, "left as it was, by study.rerun=none") for cell, past in plan.kept]
    order = list(STATUSES)
    every = sorted([*ended, *skipped, *left], key=lambda outcome: order.index(outcome.status))
    counts = Counter(outcome.status for outcome in every)
    parts = ", ".join(f"{counts[status]} {text}" for status, text in STATUSES.items() if counts[status])
    labels = labelled([outcome.cell for outcome in every])
    rows = [(each.status, labels[each.cell.fingerprint], f"run {each.run_id or '-'}", each.note) for each in every]
    done = counts[schema.FINISHED] + counts[SKIPPED]
    return "\n".join([*aligned(rows), f"{done} of {counted(len(every), 'cell')} finished in {clock(seconds)}: {parts}"])
