"""The plan of a grid before any of it runs: which cells, in which order, within which budget, and its text."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile, zip_longest
from typing import NamedTuple

from src import schema
from src.config import Config, ConfigError, clock
from src.recording import Cost, Ledger, disk_bytes

# Cells listed before the rest is counted: of those to run, and of those that are not.
SHOWN, SHOWN_BRIEFLY = 30, 8


class Cell(NamedTuple):
    """A cell of the grid: its overrides, its settings, and the fingerprint of its run."""

    overrides: tuple[str, ...]
    config: Config
    fingerprint: str


class Planned(NamedTuple):
    """A cell that is to run, and what it is expected to take."""

    cell: Cell
    cost: Cost


# Cells that do not run, each with the run that represents it.
Ended = list[tuple[Cell, Ledger]]


@dataclass(frozen=True)
class Plan:
    """What is done with every cell of a grid.

    Attributes:
        launch: to run, the longest first, ties in grid order.
        skipped: finished before.
        kept: failed or diverged before, and left as they are.
        dropped: whole seeds that the budget has no room for.
        seeds_kept, seeds_dropped: the seeds in `launch` and in `dropped`, in grid order.
        workers: how many cells run at once.
        budget: seconds for the whole grid; None for no limit.
    """

    launch: list[Planned]
    skipped: Ended
    kept: Ended
    dropped: list[Cell]
    seeds_kept: list[int]
    seeds_dropped: list[int]
    workers: int
    budget: float | None

    @property
    def cells(self) -> list[Cell]:
        """All of them, by what is done with them."""
        return [cell for cell, _ in [*self.launch, *self.skipped, *self.kept]] + self.dropped


def make_plan(
    cells: Sequence[Cell],
    recorded: Mapping[str, Ledger],
    rerun: str,
    costs: Callable[[Sequence[Config]], Sequence[Cost]],
    budget: float | None,
    workers: int,
) -> Plan:
    """Select the cells to run, estimate their costs, keep to the budget, order the rest.

    A seed whose cells have run in part keeps its place in the order of the seeds.

    Args:
        cells: of the grid, each once.
        recorded: by fingerprint, the attempt that represents a cell.
        rerun: see `select`.
        costs: what runs of these settings take.
        budget: seconds for the whole grid; None for no limit.
        workers: how many cells run at once.
    Raises:
        ConfigError: the budget has no room for one seed.
    """
    to_run, skipped, kept = select(cells, recorded, rerun)
    predicted = costs([cell.config for cell in to_run])
    turn, place = seeds_of(cells), {cell.fingerprint: number for number, cell in enumerate(cells)}
    planned = sorted(map(Planned, to_run, predicted), key=lambda item: turn.index(item.cell.config.seed))
    taken, dropped = fit_to_budget(planned, budget, workers)
    launch = sorted(taken, key=lambda item: (-item.cost.seconds, place[item.cell.fingerprint]))
    return Plan(launch, skipped, kept, dropped, seeds_of(cell for cell, _ in taken), seeds_of(dropped), workers, budget)


def unique(cells: Sequence[Cell]) -> tuple[list[Cell], int]:
    """The first cell of every fingerprint, and how many others there were."""
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.fingerprint, cell)
    return list(first.values()), len(cells) - len(first)


def seeds_of(cells: Iterable[Cell]) -> list[int]:
    """The seeds of these cells, in the order in which they appear."""
    return list(dict.fromkeys(cell.config.seed for cell in cells))


def select(cells: Iterable[Cell], recorded: Mapping[str, Ledger], rerun: str) -> tuple[list[Cell], Ended, Ended]:
    """The cells to run, those that finished before, and those that are left failed or diverged; in grid order.

    `rerun` failed runs whatever has not finished, none leaves what failed or diverged too, all runs everything. What
    was killed, is running or was never started runs in every mode.
    """
    skips = () if rerun == "all" else (schema.FINISHED,)
    keeps = (schema.FAILED, schema.DIVERGED) if rerun == "none" else ()
    to_run, skipped, kept = list[Cell](), Ended(), Ended()
    for cell in cells:
        run = recorded.get(cell.fingerprint)
        if run and run.status in skips:
            skipped.append((cell, run))
        elif run and run.status in keeps:
            kept.append((cell, run))
        else:
            to_run.append(cell)
    return to_run, skipped, kept


def fit_to_budget(planned: Sequence[Planned], budget: float | None, workers: int) -> tuple[list[Planned], list[Cell]]:
    """The cells that a budget of seconds has room for, in their order, and the others.

    It takes all cells of a seed or none, by the seeds' first appearance, up to the first that does not fit: cells are
    compared in pairs of one seed. Raises ConfigError where not even one seed fits.
    """
    turn = {seed: number for number, seed in enumerate(seeds_of(item.cell for item in planned), start=1)}
    if budget is None or not planned:
        return list(planned), []

    def needed(count: int) -> float:
        return makespan((each.seconds for cell, each in planned if turn[cell.config.seed] <= count), workers)

    room = max(takewhile(lambda count: needed(count) <= budget, turn.values()), default=0)
    if not room:
        raise ConfigError(
            f"study.budget={brief(budget)} is too small: one seed of this grid is predicted to take "
            f"{clock(needed(1))} with {counted(workers, 'worker')}. Raise it, use fewer epochs or a smaller grid."
        )
    taken = [item for item in planned if turn[item.cell.config.seed] <= room]
    return taken, [cell for cell, _ in planned if turn[cell.config.seed] > room]


def makespan(seconds: Iterable[float], workers: int) -> float:
    """The time until the last of these jobs ends, when a free worker takes the longest that is left."""
    ends = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


def describe(plan: Plan, now: datetime, free_disk_bytes: float, free_memory_bytes: float) -> str:
    """The text of a plan: what runs, what does not and why, and what it takes."""
    labels = labelled(plan.cells)
    facts = [*listed("skipped", plan.skipped, labels), *listed("left", plan.kept, labels), *budget_fact(plan)]
    if plan.launch:
        facts += [*time_fact(plan, now), *memory_fact(plan, free_memory_bytes), *disk_fact(plan, free_disk_bytes)]
    return "\n".join([*table(plan.launch, labels), tally(plan), *aligned(facts)])


def labelled(cells: Sequence[Cell]) -> dict[str, str]:
    """By fingerprint, the overrides that tell a cell from the others, in columns; all where it is the only one."""
    shared = set.intersection(*(set(cell.overrides) for cell in cells)) if len(cells) > 1 else set()
    own = [[item for item in cell.overrides if item not in shared] or ["defaults"] for cell in cells]
    return dict(zip((cell.fingerprint for cell in cells), aligned(own), strict=True))


def table(launch: Sequence[Planned], labels: Mapping[str, str]) -> list[str]:
    """A line for each cell to run, below a heading; nothing where there is none."""
    rows = [("cell", "time", "memory", "predicted from")]
    rows += [(labels[cell.fingerprint], clock(each.seconds), size(each.bytes), each.source) for cell, each in launch]
    lines = aligned([(label, f"{time:>7}", f"{memory:>7}", source) for label, time, memory, source in rows])
    return [*shortened(lines, SHOWN + 1), ""] if launch else []


def tally(plan: Plan) -> str:
    """The number of cells, by what is done with them."""
    others = {
        "skipped (finished before)": len(plan.skipped),
        "left alone (failed or diverged before)": len(plan.kept),
        "dropped (by the budget)": len(plan.dropped),
    }
    counts = [f"{number} {fate}" for fate, number in others.items() if number]
    return f"{counted(len(plan.cells), 'cell')}: {', '.join([f'{len(plan.launch)} to run', *counts])}"


def listed(head: str, ended: Ended, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """The runs that represent cells which do not run."""
    rows = [(labels[cell.fingerprint], f"run {run.run_id[:8]}", run.status) for cell, run in ended]
    return [("" if place else head, line) for place, line in enumerate(shortened(aligned(rows), SHOWN_BRIEFLY))]


def budget_fact(plan: Plan) -> list[tuple[str, str]]:
    """What the budget has room for, where that is not everything."""
    if plan.budget is None or not plan.seeds_dropped:
        return []
    kept, dropped = (", ".join(map(str, seeds)) for seeds in (plan.seeds_kept, plan.seeds_dropped))
    share = f"{len(plan.seeds_kept)} of {len(plan.seeds_kept + plan.seeds_dropped)} seeds"
    return [("budget", f"{brief(plan.budget)} keeps {share}: {kept}; dropped: {dropped}")]


def time_fact(plan: Plan, now: datetime) -> list[tuple[str, str]]:
    seconds = makespan((planned.cost.seconds for planned in plan.launch), plan.workers)
    end = now + timedelta(seconds=seconds)
    moment = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%H:%M on %Y-%m-%d}"
    return [("time", f"{clock(seconds)} with {counted(plan.workers, 'worker')}, ends at about {moment}")]


def memory_fact(plan: Plan, free: float) -> list[tuple[str, str]]:
    """The largest cells at the same time."""
    largest = heapq.nlargest(plan.workers, (planned.cost.bytes for planned in plan.launch))
    remedy = "Use fewer workers." if len(largest) > 1 else "Use a smaller batch_size or mc_samples."
    return supply("memory", sum(largest), "at once", free, remedy)


def disk_fact(plan: Plan, free: float) -> list[tuple[str, str]]:
    needed = sum(disk_bytes(cell.config) for cell, _ in plan.launch)
    return supply("disk", needed, "in all", free, "Free some, or set tracking.runs to a folder elsewhere.")


def supply(head: str, needed: float, how: str, free: float, remedy: str) -> list[tuple[str, str]]:
    """Bytes needed beside bytes free."""
    warning = [("", f"WARNING: that is more than is free. {remedy}")] if needed > free else []
    return [(head, f"{size(needed)} {how}, {size(free)} free"), *warning]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with aligned columns."""
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def shortened(lines: list[str], limit: int) -> list[str]:
    rest = len(lines) - limit
    return [*lines[:limit], f"... and {rest} more"] if rest > 0 else lines


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"


def brief(seconds: float) -> str:
    """Seconds as `clock` writes them, without parts that are zero: 30m, 2h."""
    return clock(seconds).removesuffix("00s").removesuffix("00m")
