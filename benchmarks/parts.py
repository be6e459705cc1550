"""From spans to parts: where the time of a stretch of a process went. The spans are those of `spans/sitecustomize.py`.

A part's time is exclusive: of a span, what is not in the spans inside it. So the parts of a thread add up.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from benchmarks.statistics import Spread, spread

MAIN = "MainThread"
# Spans by their names in `spans/sitecustomize.py`; the first two are added here.
PYTHON, LEAVING = "start of Python", "leaving"
CELL, WORKER, FINAL, PROBE, PROGRESS = "cell", "starting a worker", "final metrics", "probe", "progress bar"
TRAINING, SCORES, TRACING = "training", "scores", "tracing"
AROUND = "around"
# They hold other parts and compile nothing: what is traced in them is the input of an epoch.
HOLDERS = (CELL, "Keras's fit")
ELSE = "everything else"


class Span(NamedTuple):
    """What a thread did from `start` to `end`, seconds of a clock that all processes share."""

    process: int
    thread: str
    name: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Stretch(NamedTuple):
    """A part of a process's life, seconds of the same clock."""

    process: int
    start: float
    end: float

    def within(self, spans: Iterable[Span]) -> list[Span]:
        """The spans that lie in it."""
        return [s for s in spans if s.process == self.process and self.start <= s.start and s.end <= self.end]


class Column(NamedTuple):
    """Where the time of a stretch went, seconds.

    Attributes:
        wall: all of it.
        parts: exclusive times of the main thread, in the order in which they begin; with ELSE they add up to `wall`.
        beside: exclusive times of other threads, by "thread: part".
        epoch: of one epoch, over epochs 2 on, the training, the scores, a probe where there was one, and AROUND, all
            but training and probes; empty without two trained epochs.
    """

    wall: float
    parts: dict[str, float]
    beside: dict[str, float]
    epoch: dict[str, Spread]


def read(file: Path, start: float, end: float) -> list[Span]:
    """The spans of a command that ran from `start` to `end`, with those of Python's start and of leaving."""
    spans = [Span(*json.loads(line)) for line in file.read_text().splitlines()]
    own = [span for span in spans if span.process == spans[0].process]
    births = {spans[0].process: start}
    starters = sorted(span.start for span in spans if span.name == WORKER)
    workers = dict.fromkeys(span.process for span in spans if span.process != spans[0].process)
    births |= zip(workers, starters, strict=True)
    first = {process: min(s.start for s in spans if s.process == process) for process in births}
    begun = [Span(process, MAIN, PYTHON, born, first[process]) for process, born in births.items()]
    last = max(span.end for span in own if span.thread == MAIN)
    return [*spans, *begun, Span(spans[0].process, MAIN, LEAVING, last, end)]


def cells(spans: Iterable[Span]) -> list[Span]:
    """The cells of a command, in their order."""
    return sorted((span for span in spans if span.name == CELL), key=lambda span: span.start)


def whole(spans: Sequence[Span]) -> Stretch:
    """The command's own process, from its start to its end."""
    (leaving,) = (span for span in spans if span.name == LEAVING)
    return Stretch(leaving.process, start_of(leaving.process, spans), leaving.end)


def first_cell(spans: Sequence[Span]) -> Stretch:
    """From the start of the process that runs the first cell to that cell's end."""
    cell = cells(spans)[0]
    return Stretch(cell.process, start_of(cell.process, spans), cell.end)


def second_cell(spans: Sequence[Span]) -> Stretch:
    """From the end of the first cell to the end of the second, which the same process runs."""
    first, second = cells(spans)[:2]
    return Stretch(second.process, first.end, second.end)


def start_of(process: int, spans: Iterable[Span]) -> float:
    return next(span.start for span in spans if span.name == PYTHON and span.process == process)


def column(spans: Iterable[Span], stretch: Stretch) -> Column:
    """Where the time of a stretch went."""
    inside = stretch.within(spans)
    threads = {span.thread: [s for s in inside if s.thread == span.thread] for span in inside}
    main, wall = threads.pop(MAIN, []), stretch.end - stretch.start
    parts = {part: s for part, s in exclusive(main).items() if part != ELSE}
    beside = {f"{thread}: {part}": s for thread, own in threads.items() for part, s in exclusive(own).items()}
    return Column(wall, {**parts, ELSE: wall - sum(parts.values())}, beside, of_epoch(main))


def exclusive(spans: Iterable[Span]) -> dict[str, float]:
    """Seconds by part of the spans of one thread, each without those inside it, in the order in which they begin."""
    parents: dict[Span, Span | None] = {}
    around: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        while around and around[-1].end <= span.start:
            around.pop()
        parents[span] = around[-1] if around else None
        around.append(span)
    compiled = {p for span, p in parents.items() if span.name == TRACING and p and p.name not in HOLDERS}
    names = {span: label(span, parent, span in compiled) for span, parent in parents.items()}
    seconds = dict.fromkeys(names.values(), 0.0)
    for span, parent in parents.items():
        seconds[names[span]] += span.seconds
        if parent:
            seconds[names[parent]] -= span.seconds
    return seconds


def label(span: Span, parent: Span | None, compiled: bool) -> str:
    """The part that a span is: tracing is told apart by what is traced, and what traces is a first call.

    A cell's own time, outside of all that is named in it, is no part.
    """
    if span.name == CELL:
        return ELSE
    if span.name == TRACING and parent and parent.name not in HOLDERS:
        return f"{parent.name}, {TRACING}"
    name = f"final {span.name}" if parent and parent.name == FINAL else span.name
    return f"{name}, first call" if compiled else name


def of_epoch(spans: Sequence[Span]) -> dict[str, Spread]:
    """`Column.epoch`, from the spans of one thread."""
    ends = sorted(span.end for span in spans if span.name == PROGRESS)
    found = {
        name: [span for span in spans if span.name == name and ends[0] <= span.start < ends[-1]]
        for name in (TRAINING, SCORES, PROBE)
        if ends
    }
    if not found.get(TRAINING):
        return {}
    apart = [*found[TRAINING], *found[PROBE]]
    around = [b - a - sum(s.seconds for s in apart if a <= s.start < b) for a, b in pairwise(ends)]
    return {name: spread(s.seconds for s in each) for name, each in found.items() if each} | {AROUND: spread(around)}
