"""What a study prints: its plan before it starts, and how its cells ended. The sentences are in templates."""

import heapq
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from src import schema
from src.config import flatten
from src.recording import disk_bytes
from src.sweep.plan import DROPPED, Cell, Outcome, Plan, makespan
from src.writing import aligned, render

# What a title names, see config.title.
TITLED = (schema.MC_SAMPLES.key, schema.BATCH_SIZE.key, schema.SEED.key)


def describe(plan: Plan, now: datetime, free_disk: float, free_memory: float) -> str:
    """The text of a plan: what runs, what does not and why, and what it takes; free bytes of disk and memory."""
    cells, costs = [cell for cell, _ in plan.launch], [cost for _, cost in plan.launch]
    seconds = makespan((cost.seconds for cost in costs), plan.workers)
    return render(
        Path(__file__).with_name("plan.txt.j2"),
        plan=plan,
        labels=labelled([*cells, *(each.cell for each in plan.settled)]),
        seconds=seconds,
        now=now,
        end=now + timedelta(seconds=seconds),
        memory={"needed": sum(heapq.nlargest(plan.workers, (cost.bytes for cost in costs))), "free": free_memory},
        disk={"needed": sum(map(disk_bytes, (cell.config for cell in cells))), "free": free_disk},
    )


def summary(plan: Plan, ended: Sequence[Outcome], seconds: float) -> str:
    """The last lines of a study: every cell with its run, those with a problem last, and how many ended how."""
    every = [*ended, *(each for each in plan.settled if each.status != DROPPED)]
    labels = labelled([each.cell for each in every])
    return render(Path(__file__).with_name("summary.txt.j2"), every=every, labels=labels, seconds=seconds)


def distinct(cells: Sequence[Cell]) -> list[list[str]]:
    """The overrides of each cell that not all cells have."""
    shared = set.intersection(*(set(cell.overrides) for cell in cells))
    return [[item for item in cell.overrides if item not in shared] for cell in cells]


def labelled(cells: Sequence[Cell]) -> dict[str, str]:
    """By fingerprint, the overrides that tell a cell from the others, in columns; all where it is the only one."""
    given = distinct(cells) if len(cells) > 1 else [list(cell.overrides) for cell in cells]
    lines = aligned([items or ["defaults"] for items in given])
    width = max(map(len, lines), default=0)
    return {cell.fingerprint: line.ljust(width) for cell, line in zip(cells, lines, strict=True)}


def varying(cells: Sequence[Cell]) -> list[str]:
    """The settings in which cells differ, beside those that a title has; of a preset its name."""
    known = flatten(cells[0].config)
    keys = dict.fromkeys(item.lstrip("+").partition("=")[0] for items in distinct(cells) for item in items)
    names = [key if key in known else f"{key}.name" for key in keys]
    return [name for name in names if name in known and name not in TITLED]
