"""The plan of a grid before any of it runs: which cells, in which order, within which budget. Its text: `words`."""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from src import schema
from src.config import Config, ConfigError
from src.recording import Cost, Ledger

# What becomes of a cell without a launch, beside the statuses of schema.
SKIPPED, DROPPED = "skipped", "dropped"
LEFT = "left as it was, by study.rerun=none"


class Cell(NamedTuple):
    """A cell of the grid: its overrides, its settings, the fingerprint of its run, and the digest of its data."""

    overrides: tuple[str, ...]
    config: Config
    fingerprint: str
    data_digest: str = ""


class Planned(NamedTuple):
    """A cell that is to run, and what it is expected to take."""

    cell: Cell
    cost: Cost


class Outcome(NamedTuple):
    """How a cell ended, or what stands in the place of a launch.

    Attributes:
        cell: the cell.
        status: one of schema's, SKIPPED (finished before) or DROPPED (by the budget).
        run_id: of its run in the tracker; empty where the tracker has none yet.
        note: what went wrong.
    """

    cell: Cell
    status: str
    run_id: str = ""
    note: str = ""


class Plan(NamedTuple):
    """What is done with every cell of a grid.

    Attributes:
        launch: cells to run, the longest first, ties in grid order.
        settled: the others: finished before, left failed or diverged, dropped with their whole seeds by the budget.
        workers: how many cells run at once.
        budget: seconds for the whole grid; None for no limit.
    """

    launch: list[Planned]
    settled: list[Outcome]
    workers: int
    budget: float | None


def make_plan(
    cells: Sequence[Cell],
    recorded: Mapping[str, Ledger],
    rerun: str,
    costs: Callable[[Sequence[Config]], Sequence[Cost]],
    budget: float | None,
    workers: int,
) -> Plan:
    """Select the cells to run, estimate their costs, keep to the budget, order the rest.

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
    to_run, settled = select(cells, recorded, rerun)
    turn = {seed: number for number, seed in enumerate(dict.fromkeys(cell.config.seed for cell in cells))}
    planned = sorted(
        map(Planned, to_run, costs([cell.config for cell in to_run])), key=lambda item: turn[item.cell.config.seed]
    )
    taken, dropped = fit_to_budget(planned, budget, workers)
    place = {cell.fingerprint: number for number, cell in enumerate(cells)}
    launch = sorted(taken, key=lambda item: (-item.cost.seconds, place[item.cell.fingerprint]))
    return Plan(launch, [*settled, *(Outcome(cell, DROPPED) for cell in dropped)], workers, budget)


def select(cells: Iterable[Cell], recorded: Mapping[str, Ledger], rerun: str) -> tuple[list[Cell], list[Outcome]]:
    """The cells to run, and those that finished before or are left failed or diverged; in grid order.

    `rerun` failed runs whatever has not finished, none leaves what failed or diverged too, all runs everything. What
    was killed, is running or was never started runs in every mode.
    """
    to_run, settled = list[Cell](), list[Outcome]()
    for cell in cells:
        run = recorded.get(cell.fingerprint)
        if run and run.status == schema.FINISHED and rerun != "all":
            settled.append(Outcome(cell, SKIPPED, run.run_id))
        elif run and run.status in (schema.FAILED, schema.DIVERGED) and rerun == "none":
            settled.append(Outcome(cell, run.status, run.run_id, LEFT))
        else:
            to_run.append(cell)
    return to_run, settled


def fit_to_budget(planned: Sequence[Planned], budget: float | None, workers: int) -> tuple[list[Planned], list[Cell]]:
    """The cells that a budget of seconds has room for, in their order, and the others.

    It takes all cells of a seed or none, by the seeds' first appearance, up to the first that does not fit: cells are
    compared in pairs of one seed. Raises ConfigError where not even one seed fits.
    """
    seeds = list(dict.fromkeys(item.cell.config.seed for item in planned))
    if budget is None or not planned:
        return list(planned), []

    def needed(count: int) -> float:
        return makespan((each.cost.seconds for each in planned if each.cell.config.seed in seeds[:count]), workers)

    room = max(takewhile(lambda count: needed(count) <= budget, range(1, len(seeds) + 1)), default=0)
    if not room:
        raise ConfigError(
            f"study.budget must have room for one seed of this grid. Received: {budget:g} s. One seed is expected to "
            f"take {needed(1):.0f} s at {workers} cells at a time. Raise it, use fewer epochs or a smaller grid."
        )
    taken = [item for item in planned if item.cell.config.seed in seeds[:room]]
    return taken, [cell for cell, _ in planned if cell.config.seed not in seeds[:room]]


def makespan(seconds: Iterable[float], workers: int) -> float:
    """The time until the last of these jobs ends, when a free worker takes the longest that is left."""
    ends = [0.0] * workers
    for duration in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + duration)
    return max(ends)
