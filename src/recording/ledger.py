"""A run's own record: an append-only file of events in its folder, written before any tracker hears of them.

    runs/K1-B100-seed0-3f9c2a7d51e0/    the home of one cell, named after its fingerprint
        1/ledger.jsonl                  its first attempt: start, metrics, ..., end
        1/checkpoint                    where it can go on from
        2/...                           a later attempt, after the first one failed or was asked for again
    runs/studies/2026-11-22_10-56-11_4711/ledger.jsonl   the run of a whole grid
    runs/.unsent/KEY                    the ledgers that a store has not taken yet, each file naming a folder

The ledger is the truth; a store is a copy of it that can be made again at any time (`python -m src.sync`).
"""

import json
import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from src import ROOT, schema
from src.config import Config, TrackingConfig
from src.process import ProcessId

log = logging.getLogger(__name__)

LEDGER_FILE = "ledger.jsonl"
# How much of the ledger which store has, and under which id.
SENT_FILE = "sent.json"
START, RESUME, METRICS, ARTIFACT, END = "start", "resume", "metrics", "artifact", "end"
Event = dict[str, Any]


class Ledger:
    """The events of one run, oldest first; reads what is there and cuts off a line that a crash has torn.

    Attributes:
        folder: the run's own folder.
        events: every event as a dictionary with `event` (its kind), `time` (milliseconds since the Unix epoch) and
            the content of its kind.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.file = folder / LEDGER_FILE
        lines = self.file.read_bytes().splitlines(keepends=True) if self.file.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        self.size = sum(map(len, whole))
        try:
            self.events: list[Event] = [json.loads(line) for line in whole]
        except ValueError as error:
            raise ValueError(
                f"{self.file} is damaged ({error}). Expected one JSON object a line. Restore the file, or move the "
                f"folder {folder} away to run its cell anew."
            ) from error

    def append(self, kind: str, **content: Any) -> None:
        """Write one event through to the disk. Of several threads, one at a time may."""
        event = {"event": kind, "time": int(time.time() * 1000), **content}
        with self.file.open("ab") as out:
            out.truncate(self.size)
            self.size += out.write(json.dumps(event).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
            self.events.append(event)

    def of(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event["event"] in kinds]

    @property
    def key(self) -> str:
        """What tells this ledger from every other, here and in a store."""
        return self.events[0]["key"]

    @property
    def status(self) -> str:
        """One of schema's: how the run ended, or running."""
        last = self.of(START, RESUME, END)[-1]
        return last["status"] if last["event"] == END else schema.RUNNING

    @property
    def note(self) -> str:
        """Why the run ended as it did; empty while it has not."""
        return str(self.of(START, RESUME, END)[-1].get("note", ""))

    @property
    def run_id(self) -> str:
        """The id of the run in the store that has it; empty where none has it yet."""
        place = self.folder / SENT_FILE
        return str(json.loads(place.read_text())["run_id"]) if place.exists() else ""

    @property
    def owner(self) -> ProcessId:
        """The process that works on the run, or did last."""
        return ProcessId(**self.of(START, RESUME)[-1]["process"])

    @property
    def ended(self) -> float:
        """When the run ended, in seconds since the Unix epoch; 0 while it has not."""
        last = self.of(START, RESUME, END)[-1]
        return last["time"] / 1000 if last["event"] == END else 0

    def seconds(self) -> float:
        """What processes have spent on the run until its end, or now; what lies between a crash and a resume apart."""
        until = self.ended or time.time()
        times = [(event["event"], event["time"]) for event in self.events] + [("until", until * 1000)]
        return sum(after[1] - before[1] for before, after in pairwise(times) if after[0] != RESUME) / 1000

    def recorded(self) -> set[tuple[str, int]]:
        """The (key, step) of every metric."""
        return {(key, event["step"]) for event in self.of(METRICS) for key in event["metrics"]}

    def history(self, keys: Sequence[str]) -> list[dict[str, float]]:
        """The named metrics of every epoch that has them all, one row each, by epoch."""
        return [
            {schema.EPOCH.key: event["step"], **{key: event["metrics"][key] for key in keys}}
            for event in self.of(METRICS)
            if event["metrics"].keys() >= set(keys)
        ]


class Runs:
    """The folder of all runs."""

    def __init__(self, config: TrackingConfig):
        self.root = Path(config.runs) if config.runs else ROOT / "runs"
        self.unsent = self.root / ".unsent"

    def home(self, config: Config, fingerprint: str) -> Path:
        """The folder of a cell's attempts."""
        return self.root / f"K{config.mc_samples}-B{config.batch_size}-seed{config.seed}-{fingerprint[:12]}"

    def latest(self, home: Path) -> Ledger | None:
        """The last attempt of a cell whose ledger can be read; None where there is none."""
        return next(filter(None, (readable(home / str(number)) for number in reversed(attempts(home)))), None)

    def begin(
        self, folder: Path, name: str, parent: str | None, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Ledger:
        """A new ledger in a folder of its own. Raises FileExistsError where the folder has one."""
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder)
        if ledger.events:
            raise FileExistsError(f"{ledger.file} is there already. Expected a folder without a run.")
        key = uuid.uuid4().hex
        self.announce(key, folder)
        ledger.append(
            START,
            key=key,
            name=name,
            parent=parent,
            process=ProcessId.own()._asdict(),
            params={name: str(value) for name, value in params.items()},
            tags=dict(tags),
        )
        return ledger

    def announce(self, key: str, folder: Path) -> None:
        """Note that a store has yet to hear of a ledger."""
        self.unsent.mkdir(parents=True, exist_ok=True)
        (self.unsent / key).write_text(str(folder.resolve()))

    def announced(self) -> Iterator[Ledger]:
        """The ledgers that a store has yet to hear of, oldest first, so that a study comes before its cells."""
        marks = [path for path in self.unsent.glob("*") if not path.suffix]
        for mark in sorted(marks, key=lambda path: path.stat().st_mtime):
            folder = Path(mark.read_text())
            if not folder.exists():
                mark.unlink(missing_ok=True)
            elif (found := readable(folder)) is not None:
                yield found

    def every(self) -> list[Ledger]:
        """All ledgers of the folder, oldest first."""
        found = [readable(path.parent) for path in self.root.glob(f"*/*/{LEDGER_FILE}")]
        return sorted(filter(None, found), key=lambda ledger: ledger.events[0]["time"])


def attempts(home: Path) -> list[int]:
    """The numbers of a cell's attempts, in their order."""
    return sorted(int(path.name) for path in home.glob("*") if path.name.isdecimal())


def readable(folder: Path) -> Ledger | None:
    """A ledger that has begun; None, with a word on it, where it is damaged."""
    try:
        ledger = Ledger(folder)
    except ValueError as error:
        log.error("%s", error)
        return None
    return ledger if ledger.events else None


@contextmanager
def held(folder: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a folder's lock, which its holder's death releases.

    Raises:
        filelock.Timeout: another process holds it for longer than `timeout` seconds; without end where negative.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock", timeout=timeout):
        yield


def is_held(folder: Path) -> bool:
    """Whether another process holds a folder's lock at this moment."""
    try:
        with held(folder, timeout=0):
            return False
    except Timeout:
        return True
