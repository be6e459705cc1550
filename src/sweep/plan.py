"""What a grid comes to before any of it runs: which cells, in which order, within which budget, and said in words."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile, zip_longest
from typing import NamedTuple

from src import schema
from src.config import Config, ConfigError, clock
from src.sweep.past import Past
from src.sweep.predict import Prediction, disk_bytes

# Cells listed before the rest is counted: of those to run, and of those that are not.
SHOWN, SHOWN_BRIEFLY = 30, 8


class Cell(NamedTuple):
    """A cell of the grid: what it overrides, what that makes, and the identity of its run."""

    overrides: tuple[str, ...]
    config: Config
    fingerprint: str


class Planned(NamedTuple):
    """A cell that is to run, and what it is predicted to take."""

    cell: Cell
    prediction: Prediction


# Cells that do not run, each with the run that stands for it.
Settled = list[tuple[Cell, Past]]


@dataclass(frozen=True)
class Plan:
    """What is to become of every cell of a grid.

    Attributes:
        launch: to run, the longest first, ties in grid order.
        skipped: finished before.
        kept: failed or diverged before, and left as they are.
        dropped: whole replicates that the budget has no room for.
        seeds_kept, seeds_dropped: of the replicates in `launch` and in `dropped`, in grid order.
        workers: how many cells run at once.
        budget: seconds for the whole grid; None for no limit.
    """

    launch: list[Planned]
    skipped: Settled
    kept: Settled
    dropped: list[Cell]
    seeds_kept: list[int]
    seeds_dropped: list[int]
    workers: int
    budget: float | None

    @property
    def cells(self) -> list[Cell]:
        """All of them, by what becomes of them."""
        return [cell for cell, _ in [*self.launch, *self.skipped, *self.kept]] + self.dropped


def make_plan(
    cells: Sequence[Cell],
    past: Mapping[str, Past],
    rerun: str,
    predictions: Callable[[Sequence[Config]], Sequence[Prediction]],
    budget: float | None,
    workers: int,
) -> Plan:
    """Select the cells to run, predict them, keep to the budget, order the rest. Raises ConfigError as `within` does.

    A replicate that has run in part keeps its turn in the grid, wherever its first cell still to run stands.
    """
    to_run, skipped, kept = select(cells, past, rerun)
    predicted = predictions([cell.config for cell in to_run])
    turn, place = seeds_of(cells), {cell.fingerprint: number for number, cell in enumerate(cells)}
    planned = sorted(map(Planned, to_run, predicted), key=lambda item: turn.index(item.cell.config.seed))
    taken, dropped = within(planned, budget, workers)
    launch = sorted(taken, key=lambda item: (-item.prediction.seconds, place[item.cell.fingerprint]))
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


def select(cells: Iterable[Cell], past: Mapping[str, Past], rerun: str) -> tuple[list[Cell], Settled, Settled]:
    """The cells to run, those that finished before, and those that are left failed or diverged; in grid order.

    `rerun` failed runs whatever has not finished, none leaves what failed or diverged too, all runs everything. What
    was killed, is running or was never started runs in every mode.
    """
    skips = () if rerun == "all" else (schema.FINISHED,)
    keeps = (schema.FAILED, schema.DIVERGED) if rerun == "none" else ()
    to_run, skipped, kept = list[Cell](), Settled(), Settled()
    for cell in cells:
        run = past.get(cell.fingerprint)
        if run and run.status in skips:
            skipped.append((cell, run))
        elif run and run.status in keeps:
            kept.append((cell, run))
        else:
            to_run.append(cell)
    return to_run, skipped, kept


def within(planned: Sequence[Planned], budget: float | None, workers: int) -> tuple[list[Planned], list[Cell]]:
    """The cells that a budget of seconds has room for, in their order, and the others.

    It takes whole replicates, by their seeds' first appearance, up to the first that does not fit: half a replicate
    cannot be compared with the others. Raises ConfigError where not even one fits.
    """
    turn = {seed: number for number, seed in enumerate(seeds_of(item.cell for item in planned), start=1)}
    if budget is None or not planned:
        return list(planned), []

    def needed(count: int) -> float:
        return makespan((each.seconds for cell, each in planned if turn[cell.config.seed] <= count), workers)

    room = max(takewhile(lambda count: needed(count) <= budget, turn.values()), default=0)
    if not room:
        raise ConfigError(
            f"study.budget={brief(budget)} is too small: one replicate of this grid is predicted to take "
            f"{clock(needed(1))} with {counted(workers, 'worker')}. Raise it, use fewer epochs or a smaller grid."
        )
    taken = [item for item in planned if turn[item.cell.config.seed] <= room]
    return taken, [cell for cell, _ in planned if turn[cell.config.seed] > room]


def makespan(seconds: Iterable[float], workers: int) -> float:
    """The time until the last of these jobs ends, when whoever is free takes the longest that is left."""
    ends = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)


def describe(plan: Plan, now: datetime, free_disk_bytes: float, free_memory_bytes: float) -> str:
    """A plan as its user reads it: what runs from now on, what does not and why, and what it all takes."""
    labels = labelled(plan.cells)
    facts = [*listed("skipped", plan.skipped, labels), *listed("left", plan.kept, labels), *budget_fact(plan)]
    if plan.launch:
        facts += [*time_fact(plan, now), *memory_fact(plan, free_memory_bytes), *disk_fact(plan, free_disk_bytes)]
    return "\n".join([*table(plan.launch, labels), tally(plan), *aligned(facts)])


def labelled(cells: Sequence[Cell]) -> dict[str, str]:
    """What tells each cell from the others, in columns, by fingerprint; all its overrides where it is the only one."""
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
    """The number of cells, by what becomes of them."""
    others = {
        "skipped (finished runs in the store)": len(plan.skipped),
        "left alone (failed or diverged before)": len(plan.kept),
        "dropped (by the budget)": len(plan.dropped),
    }
    counts = [f"{number} {fate}" for fate, number in others.items() if number]
    return f"{counted(len(plan.cells), 'cell')}: {', '.join([f'{len(plan.launch)} to run', *counts])}"


def listed(head: str, settled: Settled, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """The runs that stand for cells which do not run."""
    rows = [(labels[cell.fingerprint], f"run {run.run_id[:8]}", run.status) for cell, run in settled]
    return [("" if place else head, line) for place, line in enumerate(shortened(aligned(rows), SHOWN_BRIEFLY))]


def budget_fact(plan: Plan) -> list[tuple[str, str]]:
    """What the budget has room for, where that is not everything."""
    if plan.budget is None or not plan.seeds_dropped:
        return []
    kept, dropped = (", ".join(map(str, seeds)) for seeds in (plan.seeds_kept, plan.seeds_dropped))
    share = f"{len(plan.seeds_kept)} of {len(plan.seeds_kept + plan.seeds_dropped)} replicates"
    return [("budget", f"{brief(plan.budget)} keeps {share}: seeds {kept}; dropped: {dropped}")]


def time_fact(plan: Plan, now: datetime) -> list[tuple[str, str]]:
    seconds = makespan((planned.prediction.seconds for planned in plan.launch), plan.workers)
    end = now + timedelta(seconds=seconds)
    moment = f"{end:%H:%M}" if end.date() == now.date() else f"{end:%H:%M on %Y-%m-%d}"
    return [("time", f"{clock(seconds)} with {counted(plan.workers, 'worker')}, ends at about {moment}")]


def memory_fact(plan: Plan, free: float) -> list[tuple[str, str]]:
    """The largest cells side by side: the worst that can happen."""
    largest = heapq.nlargest(plan.workers, (planned.prediction.bytes for planned in plan.launch))
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
    """Rows with their columns one below the other."""
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
    """Seconds as `clock` says them, without parts that are zero: 30m, 2h."""
    return clock(seconds).removesuffix("00s").removesuffix("00m")
