"""How a tracker gets a copy of the ledgers, by a thread that training never waits for.

A tracker that is down, locked or slow is tried again and again, at growing intervals. What it has not received when the
run ends is sent at the next start, or by `python -m src.sync`.

A tracker is a class with `uri`, `run_id(key)`, `send(key, folder, events)` and `verify()`, see `MlflowStore`. Another
tracker is another such class, opened in `open_tracker`.
"""

import json
import logging
import math
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import Timeout

from src import schema
from src.config import ConfigError, TrackingConfig, refusal
from src.process import load
from src.recording.ledger import END, SENT_FILE, Ledger, Runs, held, write_whole

if TYPE_CHECKING:
    from src.recording.mlflow_store import MlflowStore

log = logging.getLogger(__name__)

RETRY_SECONDS = (1, 2, 4, 8, 15)
# How long a run that ends waits for its tracker, and one whose process is being ended.
CLOSING_SECONDS, KILLED_SECONDS = 30, 2


def open_tracker(tracking: TrackingConfig) -> "MlflowStore":
    """The configured tracker. MLflow takes seconds to import. Raises ConfigError where it cannot be opened."""
    load("src.recording.mlflow_store")
    from src.recording.mlflow_store import MlflowStore

    return MlflowStore(tracking)


class Uploader(threading.Thread):
    """Sends a ledger's events to the tracker until it is stopped.

    Args:
        ledger: the run's.
        runs: the folder with the tracker's settings and the marks of unsent ledgers.
    """

    def __init__(self, ledger: Ledger, runs: Runs):
        super().__init__(name="uploader", daemon=True)
        self.ledger, self.runs = ledger, runs
        self.tracker: MlflowStore | None = None
        self.trouble, self.down_since = "", math.inf
        self.changed = threading.Event()
        self.closing = False
        self.start()

    def run(self) -> None:
        tries = 0
        while True:
            self.changed.clear()
            # Read before the attempt, which then includes everything that was recorded before `stop`.
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
        """Send what is new. Any error of the tracker, a lost connection or a full disk, is a reason to try again."""
        try:
            self.tracker = self.tracker or open_tracker(self.runs.tracking)
            upload(self.ledger, self.runs, self.tracker)
        except Exception as error:
            self.tracker, self.trouble = None, first_line(error)
            self.down_since = min(self.down_since, time.monotonic())
            return False
        self.trouble, self.down_since = "", math.inf
        return True

    def stop(self, seconds: float) -> None:
        """Wait at most so long for the rest to be sent; the thread then ends with its process.

        The time for which the tracker has been down counts as waited, so that every cell of a grid does not wait anew.
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


def upload(ledger: Ledger, runs: Runs, tracker: "MlflowStore") -> None:
    """Send the tracker the events that it does not have, and note how many it has now.

    Under the folder's lock: the thread of a run that has ended may still be trying while a later start sends, too.
    """
    with held(ledger.folder):
        known = ledger.sent
        has_run = known.get("store") == tracker.uri and tracker.run_id(ledger.key) is not None
        events = list(ledger.events)
        sent = known["events"] if has_run and known["events"] <= len(events) else 0
        if sent < len(events):
            tracker.send(ledger.key, ledger.folder, events[sent:])
            note = {"store": tracker.uri, "run_id": tracker.run_id(ledger.key), "events": len(events)}
            write_whole(ledger.folder / SENT_FILE, json.dumps({"key": ledger.key, **note}))
        if ledger.status != schema.RUNNING and len(ledger.events) == len(events):
            (runs.unsent / ledger.key).unlink(missing_ok=True)


def first_line(error: Exception) -> str:
    """The first line of an error: a database's continues with all that was sent."""
    return next(iter(f"{error}".splitlines()), type(error).__name__)


def upload_if_possible(ledger: Ledger, runs: Runs, tracker: "MlflowStore") -> bool:
    """Send the tracker what it lacks of a ledger. Returns whether it took it; a refusal is logged."""
    try:
        upload(ledger, runs, tracker)
    except Exception as error:
        log.warning("The store does not take %s (%s). It is sent at a later start.", ledger.file, first_line(error))
        return False
    return True


def close_as_killed(ledger: Ledger, runs: Runs, note: str) -> None:
    """End the ledger of a run that no process works on any more, at the time of its last event."""
    runs.mark_unsent(ledger.key, ledger.folder)
    ledger.append(END, status=schema.KILLED, note=note, time=ledger.events[-1]["time"])


def settle(ledger: Ledger, runs: Runs, tracker: "MlflowStore") -> bool:
    """Close a ledger whose process is dead, and send the tracker what it lacks.

    Returns:
        Whether the tracker has all of it now; not where a process works on the run, or the tracker refuses.
    """
    try:
        with held(ledger.folder.parent, timeout=0):
            fresh = Ledger(ledger.folder)
            owner = fresh.owner
            if fresh.status == schema.RUNNING and not owner.alive():
                close_as_killed(fresh, runs, f"its process died unexpectedly (pid {owner.pid} on {owner.host})")
            return fresh.status != schema.RUNNING and upload_if_possible(fresh, runs, tracker)
    except Timeout:
        return False


def catch_up(runs: Runs, tracker: "MlflowStore") -> None:
    """Close the runs whose processes are dead, and send the tracker what it lacks."""
    sent = sum(settle(ledger, runs, tracker) for ledger in list(runs.unsent_ledgers()))
    if sent:
        log.info("Runs of earlier processes: %d closed and sent to the store", sent)


def open_and_catch_up(runs: Runs) -> "MlflowStore":
    """What every start does before it trains: refuse a tracker that cannot be used, and bring it up to date.

    Raises:
        ConfigError: the folder of the runs cannot be written, the tracker cannot be opened, or its file is damaged.
    """
    with suppress(OSError):
        runs.unsent.mkdir(parents=True, exist_ok=True)
    if not os.access(runs.unsent, os.W_OK):
        raise ConfigError(refusal("tracking.runs", "a folder that can be written", runs.root, "Name another folder."))
    tracker = open_tracker(runs.tracking)
    tracker.verify()
    catch_up(runs, tracker)
    return tracker
