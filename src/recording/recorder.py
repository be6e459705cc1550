"""Recording a run: first into its ledger, from there into a store, by a thread that training never waits for.

A store that is down, locked or slow is asked again and again, at growing intervals. What it has not taken when the
run ends is sent at the next start, or by `python -m src.sync`.
"""

import json
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from src import schema
from src.process import ProcessId
from src.recording.ledger import ARTIFACT, END, METRICS, RESUME, SENT_FILE, Ledger, Runs, held
from src.recording.mlflow_store import Store, died

log = logging.getLogger(__name__)

RETRY_SECONDS = (1, 2, 4, 8, 15)
# How long a run that ends waits for its store, and one that is being killed.
CLOSING_SECONDS, KILLED_SECONDS = 30, 5
# Runs that this process has open, oldest first: what a signal has to close.
OPEN_RUNS: list["Run"] = []


class Courier(threading.Thread):
    """Carries a ledger's events to a store until told to stop.

    Args:
        ledger: the run's.
        runs: where it is noted that the store has yet to hear of the ledger.
        open_store: called until it succeeds, and again after each failure.
    """

    def __init__(self, ledger: Ledger, runs: Runs, open_store: Callable[[], Store]):
        super().__init__(name="courier", daemon=True)
        self.ledger, self.runs, self.open_store = ledger, runs, open_store
        self.store: Store | None = None
        self.trouble, self.down_since = "", math.inf
        self.changed = threading.Event()
        self.closing = False
        self.start()

    def run(self) -> None:
        tries = 0
        while True:
            self.changed.clear()
            # Read before the attempt: what was recorded before the run began to close is then part of it.
            last = self.closing
            if self.attempt():
                tries = 0
                if last:
                    return
                self.changed.wait()
            else:
                if tries == 0 and not self.closing:
                    log.warning(
                        "The store does not take what is recorded (%s). Training goes on; it is kept in %s "
                        "and sent as soon as the store answers.",
                        self.trouble,
                        self.ledger.file,
                    )
                self.changed.wait(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1

    def attempt(self) -> bool:
        """Send what is new. Whatever a store raises, a lost connection or a full disk, is a reason to try again."""
        try:
            self.store = self.store or self.open_store()
            deliver(self.ledger, self.runs, self.store)
        except Exception as error:
            self.store, self.trouble = None, brief(error)
            self.down_since = min(self.down_since, time.monotonic())
            return False
        self.trouble, self.down_since = "", math.inf
        return True

    def stop(self, seconds: float) -> None:
        """Wait for the rest to be sent, but no longer than this; the thread then goes with its process.

        A store that has been down for a while has been waited for already, and gets one more chance.
        """
        self.closing = True
        self.changed.set()
        waited = max(0, time.monotonic() - self.down_since)
        self.join(max(seconds - waited, min(seconds, KILLED_SECONDS)))
        if self.is_alive():
            log.warning(
                "The store has not taken all of %s (%s). It is sent at the next start, or by `python -m src.sync`.",
                self.ledger.folder,
                self.trouble or "it is slow",
            )


def deliver(ledger: Ledger, runs: Runs, store: Store) -> None:
    """Send a store the events that it has not had, and note how many it has now.

    One at a time: a run that has waited for its store in vain leaves a thread behind that still tries.
    """
    with held(ledger.folder):
        _deliver(ledger, runs, store)


def _deliver(ledger: Ledger, runs: Runs, store: Store) -> None:
    place = ledger.folder / SENT_FILE
    known = json.loads(place.read_text()) if place.exists() else {}
    here = known.get("store") == store.uri and store.run_id(ledger.key) is not None
    start = known["events"] if here else 0
    events = list(ledger.events)
    if start < len(events):
        store.send(ledger.key, ledger.folder, events[start:])
        note = {"store": store.uri, "run_id": store.run_id(ledger.key), "events": len(events)}
        unfinished = place.with_suffix(".tmp")
        unfinished.write_text(json.dumps(note))
        unfinished.replace(place)
    if ledger.status != schema.RUNNING and len(ledger.events) == len(events):
        (runs.unsent / ledger.key).unlink(missing_ok=True)


def brief(error: Exception) -> str:
    """What an error says first: those of a database go on with all that was sent."""
    return next(iter(f"{error}".splitlines()), type(error).__name__)


def deliver_if_possible(ledger: Ledger, runs: Runs, store: Store) -> bool:
    """Send a store what it lacks; returns whether it took it. What it does not take stays for another time."""
    try:
        deliver(ledger, runs, store)
    except Exception as error:
        log.warning("The store does not take %s (%s). It stays there for another time.", ledger.file, brief(error))
        return False
    return True


class Run:
    """A run as whoever makes it sees it. Metrics are dictionaries from schema keys to numbers.

    Attributes:
        folder: the run's own folder, for its files.
        key: what its children name it by.
    """

    def __init__(self, ledger: Ledger, runs: Runs, open_store: Callable[[], Store]):
        self.ledger, self.folder, self.key = ledger, ledger.folder, ledger.key
        self.recorded = ledger.recorded()
        self.writing, self.over = threading.Lock(), False
        self.courier = Courier(ledger, runs, open_store)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of one step; what a continued run has recorded before its crash is not recorded twice."""
        new = {key: float(value) for key, value in metrics.items() if (key, step) not in self.recorded}
        if new:
            self._append(METRICS, step=step, metrics=new)
            self.recorded.update((key, step) for key in new)

    def log_artifact(self, path: Path) -> None:
        """A file in the run's folder."""
        self._append(ARTIFACT, file=str(path.relative_to(self.folder)))

    def end(self, status: str, note: str, seconds: float) -> None:
        """Close the run: `status` is one of schema's, the note is what its page shows first; the store gets `seconds`.

        The first end counts: a signal that arrives while a finished run waits for its store does not undo it, and
        what a thread records after a signal has ended its run is left out.
        """
        self._append(END, status=status, note=note)
        self.courier.stop(seconds)

    def _append(self, kind: str, **content: object) -> None:
        with self.writing:
            if not self.over:
                self.ledger.append(kind, **content)
                self.over = kind == END
        self.courier.changed.set()


@contextmanager
def recording(ledger: Ledger, runs: Runs, open_store: Callable[[], Store]) -> Iterator[Run]:
    """A run for the duration of a block; its status tells how the block ended.

    finished: the block ended; diverged or failed: it raised, which is noted with its traceback and raised on.
    An exception names its own status by an attribute `status`.
    """
    run = Run(ledger, runs, open_store)
    OPEN_RUNS.append(run)
    try:
        yield run
    except Exception as error:
        (run.folder / schema.TRACEBACK_FILE).write_text(traceback.format_exc())
        run.log_artifact(run.folder / schema.TRACEBACK_FILE)
        run.end(getattr(error, "status", schema.FAILED), f"{type(error).__name__}: {error}", CLOSING_SECONDS)
        raise
    else:
        run.end(schema.FINISHED, "", CLOSING_SECONDS)
    finally:
        OPEN_RUNS.remove(run)


def end_open_runs(reason: str) -> None:
    """Close every run that this process has open as killed, cells before their parent."""
    for run in reversed(OPEN_RUNS):
        run.end(schema.KILLED, reason, KILLED_SECONDS)


def close(left: Ledger, runs: Runs, note: str) -> None:
    """End a ledger that nobody works on any more, as killed."""
    runs.announce(left.key, left.folder)
    left.append(END, status=schema.KILLED, note=note)


def settle(left: Ledger, runs: Runs, store: Store) -> bool:
    """Close a ledger that a dead process has left, and send the store what it lacks.

    Returns:
        Whether the store has all of it now; not where somebody works on the run, or the store refuses.
    """
    try:
        with held(left.folder.parent, timeout=0):
            fresh = Ledger(left.folder)
            if fresh.status == schema.RUNNING and not fresh.owner.alive():
                close(fresh, runs, died(fresh.owner))
            return fresh.status != schema.RUNNING and deliver_if_possible(fresh, runs, store)
    except Timeout:
        return False


def clean_up(runs: Runs, store: Store) -> None:
    """What every start does first: close what dead processes have left open, and send what a store has missed."""
    sent = sum(settle(left, runs, store) for left in list(runs.announced()))
    try:
        stale = store.close_stale()
    except Exception as error:
        log.warning("The store does not answer (%s)", brief(error))
        return
    if sent or stale:
        log.info("Runs of earlier processes: %d sent to the store, %d closed as killed", sent, len(stale))


def resume(left: Ledger, runs: Runs) -> Ledger:
    """Take over a ledger whose run is to go on, for this process."""
    runs.announce(left.key, left.folder)
    left.append(RESUME, process=ProcessId.own()._asdict())
    return left
