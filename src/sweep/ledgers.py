"""What the ledgers say of a cell: which of its attempts stands for it, and how it ended."""

from contextlib import suppress

from filelock import Timeout

from src import inference, recording, schema
from src.recording import Ledger, Runs
from src.sweep.plan import Cell, Outcome
from src.sweep.pool import CellLost


def representative(cell: Cell, runs: Runs) -> Ledger | None:
    """The attempt that stands for a cell; None where there is none."""
    attempts = runs.attempts(runs.home(cell.config, cell.fingerprint))
    return attempts[inference.representative([each.status for each in attempts])] if attempts else None


def outcome(cell: Cell, runs: Runs, before: list[int], lost: CellLost | None) -> Outcome:
    """How a cell ended that has just been launched, from its ledger.

    Args:
        cell: the cell.
        runs: the ledgers.
        before: what `Runs.progress` said before the launch; earlier events say nothing of it.
        lost: why its worker ended before the cell did; None where it did not.
    """
    home = runs.home(cell.config, cell.fingerprint)
    # The lock is held where another study works on the cell, which then writes its ledger.
    with suppress(Timeout), recording.held(home, timeout=0):
        for left in runs.attempts(home)[-1:]:
            if lost and left.status in (schema.RUNNING, schema.KILLED):
                recording.close_as_killed(left, runs, f"{lost}")
    for ledger in runs.attempts(home)[-1:]:
        if ledger.progress > before:
            if ledger.status != schema.RUNNING:
                return Outcome(cell, ledger.status, ledger.run_id, ledger.note)
            note = f"{lost or 'it had not ended when its launcher had'}"
            return Outcome(cell, schema.KILLED, ledger.run_id, note)
    return Outcome(cell, schema.KILLED, "", f"{lost or 'it has no ledger: its worker ended early or never began'}")
