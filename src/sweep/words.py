"""What a study prints: its plan before it starts, and how its cells ended."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from src import schema
from src.config import flatten
from src.recording import disk_bytes
from src.sweep.plan import DROPPED, SKIPPED, Cell, Outcome, Plan, makespan
from src.writing import aligned, clock, plural

# The order of the statuses in a list, with their words in a count.
STATUSES = {
    schema.FINISHED: "finished",
    SKIPPED: "skipped (finished before)",
    schema.FAILED: "failed",
    schema.DIVERGED: "diverged",
    schema.KILLED: "killed",
    DROPPED: "dropped (by the budget)",
}
# What a title names, see config.title.
TITLED = (schema.MC_SAMPLES.key, schema.BATCH_SIZE.key, schema.SEED.key)
# Cells listed before the rest is counted: of those to run, and of those that are not.
SHOWN, SHOWN_BRIEFLY = 30, 8


def describe(plan: Plan, now: datetime, free_disk_bytes: float, free_memory_bytes: float) -> str:
    """The text of a plan: what runs, what does not and why, and what it takes."""
    launched, settled = [cell for cell, _ in plan.launch], [each for each in plan.settled if each.status != DROPPED]
    dropped = [each.cell for each in plan.settled if each.status == DROPPED]
    labels = labelled([*launched, *(each.cell for each in plan.settled)])
    rows = [("cell", "   time", " memory", "predicted from")]
    for cell, cost in plan.launch:
        rows.append((labels[cell.fingerprint], f"{clock(cost.seconds):>7}", f"{size(cost.bytes):>7}", cost.source))
    facts = [(each.status, labels[each.cell.fingerprint], f"run {each.run_id[:8]}") for each in settled]
    lines = shortened(aligned(facts), SHOWN_BRIEFLY)
    if dropped:
        lines.append(f"budget  {clock(plan.budget or 0)} keeps seeds {seeds(launched)}; dropped: {seeds(dropped)}")
    if launched:
        lines += [time_line(plan, now), *supply_lines(plan, free_memory_bytes, free_disk_bytes)]
    tally = ", ".join([f"{len(launched)} to run", *counts(plan.settled)])
    table = [*shortened(aligned(rows), SHOWN + 1), ""] if launched else []
    return "\n".join([*table, f"{plural(len(labels), 'cell')}: {tally}", *lines])


def summary(plan: Plan, ended: Sequence[Outcome], seconds: float) -> str:
    """The last lines of a study: every cell with its run, those with a problem last, and how many ended how."""
    order = list(STATUSES)
    every = sorted(
        [*ended, *(each for each in plan.settled if each.status != DROPPED)], key=lambda each: order.index(each.status)
    )
    labels = labelled([each.cell for each in every])
    rows = [(each.status, labels[each.cell.fingerprint], f"run {each.run_id or '-'}", each.note) for each in every]
    done = sum(each.status in (schema.FINISHED, SKIPPED) for each in every)
    last = f"{done} of {plural(len(every), 'cell')} finished in {clock(seconds)}: {', '.join(counts(every))}"
    return "\n".join([*aligned(rows), last])


def counts(outcomes: Iterable[Outcome]) -> list[str]:
    """How many cells have each status, in words."""
    found = Counter(each.status for each in outcomes)
    return [f"{found[status]} {words}" for status, words in STATUSES.items() if found[status]]


def distinct(cells: Sequence[Cell]) -> list[list[str]]:
    """The overrides of each cell that not all cells have."""
    shared = set.intersection(*(set(cell.overrides) for cell in cells))
    return [[item for item in cell.overrides if item not in shared] for cell in cells]


def labelled(cells: Sequence[Cell]) -> dict[str, str]:
    """By fingerprint, the overrides that tell a cell from the others, in columns; all where it is the only one."""
    given = distinct(cells) if len(cells) > 1 else [list(cell.overrides) for cell in cells]
    own = [items or ["defaults"] for items in given]
    return dict(zip((cell.fingerprint for cell in cells), aligned(own), strict=True))


def varying(cells: Sequence[Cell]) -> list[str]:
    """The settings in which cells differ, beside those that a title has; of a preset its name."""
    known = flatten(cells[0].config)
    keys = [item.lstrip("+").partition("=")[0] for items in distinct(cells) for item in items]
    named = dict.fromkeys(key if key in known else f"{key}.name" for key in keys)
    return [key for key in named if key in known and key not in TITLED]


def seeds(cells: Iterable[Cell]) -> str:
    return ", ".join(map(str, sorted({cell.config.seed for cell in cells})))


def time_line(plan: Plan, now: datetime) -> str:
    seconds = makespan((cost.seconds for _, cost in plan.launch), plan.workers)
    end = now + timedelta(seconds=seconds)
    moment = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%H:%M on %Y-%m-%d}"
    # A study that decides runs only the cells that a comparison still needs.
    most, when = ("at most ", "by") if plan.launch[0].cell.config.study.until else ("", "at")
    return f"time    {most}{clock(seconds)} with {plural(plan.workers, 'worker')}, ends {when} about {moment}"


def supply_lines(plan: Plan, free_memory: float, free_disk: float) -> list[str]:
    """Bytes needed beside bytes free: memory of the largest cells at the same time, disk of all."""
    largest = sum(heapq.nlargest(plan.workers, (cost.bytes for _, cost in plan.launch)))
    disk = sum(disk_bytes(cell.config) for cell, _ in plan.launch)
    lines = [
        f"memory  {size(largest)} at once, {size(free_memory)} free",
        f"disk    {size(disk)} in all, {size(free_disk)} free",
    ]
    if largest > free_memory:
        lines.append("WARNING: not enough memory. Use fewer workers, or a smaller batch_size or mc_samples.")
    if disk > free_disk:
        lines.append("WARNING: not enough disk. Free some, or set tracking.runs to a folder elsewhere.")
    return lines


def shortened(lines: list[str], limit: int) -> list[str]:
    rest = len(lines) - limit
    return [*lines[:limit], f"... and {rest} more"] if rest > 0 else lines


def size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"
