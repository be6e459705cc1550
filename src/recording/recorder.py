"""What a run sees of its recording: a folder, `log` and `log_artifact`. Events go to its ledger, then to a tracker."""

import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from src import schema
from src.process import ProcessId, closed_on_exit
from src.recording import uploader
from src.recording.ledger import ARTIFACT, END, METRICS, RESUME, Ledger, Runs
from src.recording.uploader import Uploader


class Recorder:
    """A run as the code that trains sees it. Metrics are dictionaries from schema keys to numbers.

    Attributes:
        folder: the run's own folder, for its files.
    """

    def __init__(self, ledger: Ledger, runs: Runs):
        self.folder, self._ledger = ledger.folder, ledger
        self._recorded = ledger.recorded()
        self._writing, self._over = threading.Lock(), False
        self.uploader = Uploader(ledger, runs)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of one step. What a continued run recorded before its crash is not recorded twice."""
        new = {key: float(value) for key, value in metrics.items() if (key, step) not in self._recorded}
        if new:
            self._append(METRICS, step=step, metrics=new)
            self._recorded.update((key, step) for key in new)

    def log_artifact(self, path: Path) -> None:
        """A file in the run's folder."""
        self._append(ARTIFACT, file=str(path.relative_to(self.folder)))

    def history(self, keys: Sequence[str]) -> list[dict[str, float]]:
        """The named metrics of the epochs so far, one row each; see `Ledger.history`."""
        return self._ledger.history(keys)

    def seconds(self) -> float:
        """Time that processes have spent on the run so far."""
        return self._ledger.seconds()

    def end(self, status: str, note: str = "", seconds: float | None = None) -> None:
        """Close the run, and wait at most `seconds` for the tracker (uploader.CLOSING_SECONDS by default).

        The first end counts: a signal that arrives while a finished run waits for its tracker does not change its
        status, and what a thread records after the end is dropped.

        Args:
            status: one of schema's.
            note: what the run's page in the tracker shows first.
        """
        self._append(END, status=status, note=note)
        self.uploader.stop(uploader.CLOSING_SECONDS if seconds is None else seconds)

    def kill(self, reason: str) -> None:
        """Close the run of a process that is being ended."""
        self.end(schema.KILLED, reason, uploader.KILLED_SECONDS)

    def _append(self, kind: str, **content: object) -> None:
        with self._writing:
            if not self._over:
                self._ledger.append(kind, **content)
                self._over = kind == END
        self.uploader.changed.set()


@contextmanager
def record(ledger: Ledger, runs: Runs) -> Iterator[Recorder]:
    """Record a run for the duration of a block; its status tells how the block ended.

    finished: the block ended; diverged or failed: it raised, which is noted with its traceback and raised again;
    killed: the process was ended. An exception names its own status by an attribute `status`.
    """
    recorder = Recorder(ledger, runs)
    with closed_on_exit(recorder.kill):
        try:
            yield recorder
        except Exception as error:
            (recorder.folder / schema.TRACEBACK_FILE).write_text(traceback.format_exc())
            recorder.log_artifact(recorder.folder / schema.TRACEBACK_FILE)
            recorder.end(getattr(error, "status", schema.FAILED), f"{type(error).__name__}: {error}")
            raise
        recorder.end(schema.FINISHED)


def resume(ledger: Ledger, runs: Runs) -> Ledger:
    """Let this process continue the run of a ledger."""
    runs.mark_unsent(ledger.key, ledger.folder)
    ledger.append(RESUME, process=ProcessId.own()._asdict())
    return ledger
