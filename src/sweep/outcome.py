"""How the cells of a study ended, from their ledgers, whichever launcher ran them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from filelock import Timeout

from src import schema
from src.config import clock
from src.recording import Runs, close_as_killed, held
from src.sweep.plan import Cell, Plan, aligned, counted, labelled
from src.sweep.pool import CellLost

SKIPPED = "skipped"
# The order of the summary, and its words for each.
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
        run_id: of its run in the tracker; empty where the tracker has none yet.
        note: what went wrong.
    """

    cell: Cell
    status: str
    run_id: str
    note: str


def outcome(cell: Cell, runs: Runs, since: float, lost: CellLost | None) -> Outcome:
    """How a cell ended that has just been launched.

    Args:
        cell: the cell.
        runs: the ledgers.
        since: when the study began, in seconds since the Unix epoch; earlier attempts say nothing of it.
        lost: why its worker ended before the cell did; None where it did not.
    """
    home = runs.home(cell.config, cell.fingerprint)
    # The lock is held where another study works on the cell, which then writes its ledger.
    with suppress(Timeout), held(home, timeout=0):
        for left in runs.attempts(home)[-1:]:
            if lost and left.status in (schema.RUNNING, schema.KILLED):
                close_as_killed(left, runs, f"{lost}")
    found = [attempt for attempt in runs.attempts(home)[-1:] if attempt.events[-1]["time"] >= since * 1000]
    if not found:
        return Outcome(cell, schema.KILLED, "", f"{lost or 'it has no ledger: its worker ended early or never began'}")
    (ledger,) = found
    if ledger.status == schema.RUNNING:
        return Outcome(cell, schema.KILLED, ledger.run_id, f"{lost or 'it had not ended when its launcher had'}")
    return Outcome(cell, ledger.status, ledger.run_id, ledger.note)


def unfinished(plan: Plan, ended: Sequence[Outcome]) -> int:
    """How many cells of a study did not finish, those left as they were included."""
    return len(plan.kept) + sum(each.status != schema.FINISHED for each in ended)


def summary(plan: Plan, ended: Sequence[Outcome], seconds: float) -> str:
    """The last lines of a study: every cell with its run, those with a problem last, and how many ended how."""
    skipped = [Outcome(cell, SKIPPED, run.run_id, "") for cell, run in plan.skipped]
    left = [Outcome(cell, run.status, run.run_id, "left as it was, by study.rerun=none") for cell, run in plan.kept]
    order = list(STATUSES)
    every = sorted([*ended, *skipped, *left], key=lambda each: order.index(each.status))
    counts = Counter(each.status for each in every)
    parts = ", ".join(f"{counts[status]} {text}" for status, text in STATUSES.items() if counts[status])
    labels = labelled([each.cell for each in every])
    rows = [(each.status, labels[each.cell.fingerprint], f"run {each.run_id or '-'}", each.note) for each in every]
    done = counts[schema.FINISHED] + counts[SKIPPED]
    return "\n".join([*aligned(rows), f"{done} of {counted(len(every), 'cell')} finished in {clock(seconds)}: {parts}"])
