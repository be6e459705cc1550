"""A run's own record: an append-only file of events in its folder, written before a tracker receives anything.

    runs/K1-B100-seed0-3f9c2a7d51e0/    the home of one cell, named after its fingerprint
        1/ledger.jsonl                  its first attempt: start, metrics, ..., end
        1/checkpoint                    where the run can be continued
        2/...                           a later attempt, after the first one failed or was repeated on demand
    runs/studies/2026-11-22_10-56-11_4711/ledger.jsonl   the run of a whole grid
    runs/.trunks/KEY/checkpoint         the first epochs that forked runs have in common, see src/run/fork.py
    runs/.unsent/KEY                    a ledger that the tracker has not received in full; the file names its folder

The ledgers are the only truth: a grid is planned, continued and summed up from them. A tracker holds a copy, which
`python -m src.sync` makes anew at any time.
"""

import json
import logging
import math
import os
import re
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from src import ROOT, schema
from src.config import Config, TrackingConfig
from src.process import ProcessId

log = logging.getLogger(__name__)

LEDGER_FILE = "ledger.jsonl"
# How many events of the ledger which tracker has, and the run's id there.
SENT_FILE = "sent.json"
START, RESUME, METRICS, ARTIFACT, END = "start", "resume", "metrics", "artifact", "end"
# At the end of every line: the number of the event, and the CRC-32 of the line without its own entry.
SEALED = re.compile(rb'(?P<event>\{.*"number": (?P<number>\d+)), "crc": (?P<crc>\d+)\}\n')
Event = dict[str, Any]


class Ledger:
    """The events of one run, oldest first. A last line that a crash has cut off is ignored, then overwritten.

    Raises ValueError where a line is no event, is not what was written, or is missing between others.

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
            self.events: list[Event] = [read_event(line, number) for number, line in enumerate(whole)]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.file} is damaged ({error}). Expected one event a line, the first one a start. Restore the "
                f"file, or move the folder {folder} away to run its cell anew."
            ) from error

    def append(self, kind: str, **content: Any) -> None:
        """Write one event, of now unless `time` is given, and flush it to the disk. Not for two threads at once.

        An event counts once it is on the disk: what a full disk has taken of it is overwritten by the next one.
        """
        event = {"event": kind, "time": int(time.time() * 1000), **content, "number": len(self.events)}
        text = json.dumps(event).removesuffix("}").encode()
        line = b'%b, "crc": %d}\n' % (text, zlib.crc32(text))
        with self.file.open("ab") as out:
            out.truncate(self.size)
            out.write(line)
            out.flush()
            os.fsync(out.fileno())
        self.size += len(line)
        self.events.append(event)

    @property
    def progress(self) -> list[int]:
        """The number of the attempt, and of its events: for the attempts of a cell both only grow."""
        return [int(self.folder.name), len(self.events)]

    def of(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event["event"] in kinds]

    @property
    def key(self) -> str:
        """The ledger's unique name, here and in a tracker."""
        return self.events[0]["key"]

    @property
    def tags(self) -> dict[str, str]:
        return self.events[0]["tags"]

    @property
    def params(self) -> dict[str, str]:
        return self.events[0]["params"]

    @property
    def _end(self) -> Event:
        """The event of the run's end; empty while the run has not ended, or is continued."""
        last = self.of(START, RESUME, END)[-1]
        return last if last["event"] == END else {}

    @property
    def status(self) -> str:
        """One of schema's: how the run ended, or running."""
        return self._end.get("status", schema.RUNNING)

    @property
    def note(self) -> str:
        """Why the run ended as it did; empty while it has not."""
        return self._end.get("note", "")

    @property
    def sent(self) -> dict[str, Any]:
        """What SENT_FILE says of this run: store, run_id, number of events; empty where it says nothing that can be."""
        try:
            note = json.loads((self.folder / SENT_FILE).read_text())
            return note if note.get("key", self.key) == self.key and note["events"] >= 0 else {}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning("%s cannot be read. The run is sent again, which changes nothing.", self.folder / SENT_FILE)
            return {}

    @property
    def run_id(self) -> str:
        """The run's id in the tracker; empty while no tracker has it."""
        return str(self.sent.get("run_id", ""))

    @property
    def owner(self) -> ProcessId:
        """The process that works on the run, or did last."""
        return ProcessId(**self.of(START, RESUME)[-1]["process"])

    @property
    def ended(self) -> float:
        """When the run ended, in seconds since the Unix epoch; 0 while it has not."""
        return self._end.get("time", 0) / 1000

    def seconds(self) -> float:
        """Time that processes have spent on the run until its end, or now.

        The time between a crash and the resume is not counted, and no step of a clock that was set back.
        """
        until = self.ended or time.time()
        times = [(event["event"], event["time"]) for event in self.events] + [("until", until * 1000)]
        return sum(max(after[1] - before[1], 0) for before, after in pairwise(times) if after[0] != RESUME) / 1000

    def recorded(self) -> set[tuple[str, int]]:
        """The (key, step) of every metric."""
        return {(key, event["step"]) for event in self.of(METRICS) for key in event["metrics"]}

    def latest(self) -> dict[str, float]:
        """The last value of every metric."""
        return {key: value for event in self.of(METRICS) for key, value in event["metrics"].items()}

    def history(self, keys: Sequence[str]) -> list[dict[str, float]]:
        """The named metrics of every epoch that has any, one row each, by epoch; nan for one that it has not."""
        return [
            {schema.EPOCH.key: event["step"], **{key: event["metrics"].get(key, math.nan) for key in keys}}
            for event in self.of(METRICS)
            if event["metrics"].keys() & set(keys)
        ]


class Runs:
    """The folder of all runs.

    Attributes:
        tracking: where the runs are recorded, the tracker included.
    """

    def __init__(self, tracking: TrackingConfig):
        self.tracking = tracking
        self.root = Path(tracking.runs) if tracking.runs else ROOT / "runs"
        self.unsent, self.trunks = self.root / ".unsent", self.root / ".trunks"

    def home(self, config: Config, fingerprint: str) -> Path:
        """The folder of a cell's attempts."""
        return self.root / f"K{config.mc_samples}-B{config.batch_size}-seed{config.seed}-{fingerprint[:12]}"

    def attempts(self, home: Path) -> list[Ledger]:
        """A cell's attempts whose ledgers can be read, the first one first."""
        return list(filter(None, (read_ledger(home / str(number)) for number in attempt_numbers(home))))

    def progress(self, home: Path) -> list[int]:
        """The progress of a cell's last attempt."""
        last = next(reversed(self.attempts(home)), None)
        return last.progress if last else [0, 0]

    def begin(
        self, folder: Path, name: str, parent: str | None, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Ledger:
        """A new ledger in a folder of its own. Raises FileExistsError where the folder has one."""
        folder.mkdir(parents=True, exist_ok=True)
        ledger = Ledger(folder)
        if ledger.events:
            raise FileExistsError(f"{ledger.file} is there already. Expected a folder without a run.")
        key = uuid.uuid4().hex
        self.mark_unsent(key, folder)
        ledger.append(
            START,
            key=key,
            name=name,
            parent=parent,
            process=ProcessId.own()._asdict(),
            params={name: as_text(value) for name, value in params.items()},
            tags=dict(tags),
        )
        return ledger

    def mark_unsent(self, key: str, folder: Path) -> None:
        """Note that the tracker has not received all of a ledger."""
        self.unsent.mkdir(parents=True, exist_ok=True)
        write_whole(self.unsent / key, str(folder.resolve()))

    def unsent_ledgers(self) -> Iterator[Ledger]:
        """The ledgers that the tracker has not received in full, oldest first, so that a study precedes its cells."""
        marks = []
        for mark in self.unsent.glob("*"):
            with suppress(FileNotFoundError):  # another process has just sent this ledger
                marks += [] if mark.suffix else [(mark.stat().st_mtime, mark, Path(mark.read_text()))]
        for _, mark, folder in sorted(marks):
            if not folder.exists():
                mark.unlink(missing_ok=True)
            elif (ledger := read_ledger(folder)) is not None:
                yield ledger

    def newest_first(self) -> Iterator[Ledger]:
        """All ledgers of the folder, the one written last first; read one by one."""
        files = sorted(self.root.glob(f"*/*/{LEDGER_FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
        return filter(None, (read_ledger(path.parent) for path in files))


def read_event(line: bytes, number: int) -> Event:
    """The event of a line, which is the `number`-th. Lines of an earlier version have neither number nor checksum.

    Raises:
        ValueError, KeyError, TypeError: it is not the event that was written there.
    """
    sealed = SEALED.fullmatch(line)
    if sealed and zlib.crc32(sealed["event"]) != int(sealed["crc"]):
        raise ValueError(f"line {number + 1} does not match its checksum")
    if sealed and int(sealed["number"]) != number:
        raise ValueError(f"line {number + 1} is event {int(sealed['number']) + 1}")
    event = json.loads(line)
    if not isinstance(event, dict) or (event["event"] == START) != (number == 0) or event["time"] < 0:
        raise ValueError(f"line {number + 1} is no event that can stand there")
    event.pop("crc", None)
    return event


def write_whole(path: Path, text: str) -> None:
    """Write a small file aside and rename it: a reader finds the text from before, or all of this one."""
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_text(text)
    unfinished.replace(path)


def as_text(value: Any) -> str:
    """A parameter as it is recorded: a list as JSON, anything else as Python prints it."""
    return json.dumps(value) if isinstance(value, list | tuple) else str(value)


def attempt_numbers(home: Path) -> list[int]:
    """The numbers of a cell's attempts, in their order."""
    return sorted(int(path.name) for path in home.glob("[0-9]*"))


def read_ledger(folder: Path) -> Ledger | None:
    """A ledger with at least its start; None, with a logged error, where it is damaged."""
    try:
        ledger = Ledger(folder)
    except ValueError as error:
        log.error("%s", error)
        return None
    return ledger if ledger.events else None


@contextmanager
def held(folder: Path, timeout: float = -1) -> Iterator[None]:
    """Hold a folder's lock; the system releases it when the holder ends.

    Raises:
        filelock.Timeout: another process holds it for longer than `timeout` seconds; never where it is negative.
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
