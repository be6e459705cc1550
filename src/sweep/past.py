"""The runs of a store as planning sees them: what has been computed already, in what time and memory."""

from collections.abc import Iterable
from typing import NamedTuple

from src import schema


class Past(NamedTuple):
    """One run of the store.

    Attributes:
        run_id: its name in the store.
        fingerprint: equal for runs whose numbers must be equal, see `src.recording.provenance`.
        status: finished, failed, diverged or killed, as in `src.schema`; else running.
        started: milliseconds since the Unix epoch.
        params: its flattened settings, as text.
        metrics: the latest value of every metric.
        tags: as they were recorded.
    """

    run_id: str
    fingerprint: str
    status: str
    started: int
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def latest(past: Iterable[Past]) -> dict[str, Past]:
    """The run that stands for each fingerprint: the latest that finished, else the latest."""

    def rank(run: Past) -> tuple[bool, int]:
        return run.status == schema.FINISHED, run.started

    return {run.fingerprint: run for run in sorted(past, key=rank)}
