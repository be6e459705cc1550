"""Which cells run, in which order, within which budget, and how it is said."""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src import schema
from src.config import Config, ConfigError, StudyConfig
from src.recording import Study, titled
from src.recording.cost import CALIBRATED, RECORDED, Cost, disk_bytes
from src.sweep.plan import DROPPED, SKIPPED, Cell, Outcome, Plan, Planned, fit_to_budget, make_plan, makespan, select
from src.sweep.words import describe, summary, varying

NOON = datetime(2030, 5, 17, 12, 0)
STATUSES = (schema.FINISHED, schema.FAILED, schema.DIVERGED, schema.KILLED, schema.RUNNING)
MINUTES = {1: 1, 5: 2, 25: 5}


def grid(ks: tuple[int, ...] = (1, 5, 25), seeds: tuple[int, ...] = (0, 1, 2)) -> list[Cell]:
    return [
        Cell(
            (f"mc_samples={k}", "epochs=20", f"seed={seed}"), Config(mc_samples=k, seed=seed, epochs=20), f"{k}-{seed}"
        )
        for k, seed in product(ks, seeds)
    ]


def run_of(cell: Cell, status: str = schema.FINISHED) -> Any:
    """What a plan reads of a ledger."""
    return SimpleNamespace(run_id="abcdef0123456789", fingerprint=cell.fingerprint, status=status)


def minutes(configs: list[Config]) -> list[Cost]:
    """One minute for K = 1, two for K = 5, five for K = 25."""
    return [Cost(60 * MINUTES[config.mc_samples], 1.5e9, CALIBRATED) for config in configs]


def planned_of(cells: list[Cell]) -> list[Planned]:
    return list(map(Planned, cells, minutes([cell.config for cell in cells])))


def plan_of(cells: list[Cell], past: dict[str, Any] | None = None, rerun: str = "failed", **changes) -> Plan:
    return make_plan(cells, past or {}, rerun, minutes, **{"budget": None, "workers": 1, **changes})


def said(plan: Plan, now: datetime = NOON, disk: float = 1e12, memory: float = 1e12) -> list[str]:
    return describe(plan, now, disk, memory).splitlines()


RUNS_AGAIN = {
    "all": {*STATUSES, None},
    "failed": {schema.FAILED, schema.DIVERGED, schema.KILLED, schema.RUNNING, None},
    "none": {schema.KILLED, schema.RUNNING, None},
}


@pytest.mark.parametrize("rerun", RUNS_AGAIN)
@pytest.mark.parametrize("status", [*STATUSES, None])
def test_what_runs_again(rerun, status):
    (cell,) = grid((1,), (0,))
    past = {cell.fingerprint: run_of(cell, status)} if status else {}
    to_run, settled = select([cell], past, rerun)
    assert bool(to_run) == (status in RUNS_AGAIN[rerun])
    expected = SKIPPED if status == schema.FINISHED else status
    assert [each.status for each in settled] == ([] if to_run else [expected])


@given(st.lists(st.sampled_from((*STATUSES, None)), min_size=9, max_size=9), st.sampled_from(list(RUNS_AGAIN)))
def test_a_selection_parts_the_cells_and_keeps_their_order(statuses, rerun):
    cells = grid()
    past = {cell.fingerprint: run_of(cell, status) for cell, status in zip(cells, statuses, strict=True) if status}
    to_run, settled = select(cells, past, rerun)
    parts = [to_run, [each.cell for each in settled]]
    assert Counter(cell.fingerprint for part in parts for cell in part) == Counter(cell.fingerprint for cell in cells)
    assert all(part == sorted(part, key=cells.index) for part in parts)
    assert all(each.run_id == past[each.cell.fingerprint].run_id for each in settled)


durations = st.lists(st.floats(0.1, 1000), min_size=1, max_size=6)


@given(durations, st.integers(1, 4))
def test_a_makespan_keeps_its_bounds(seconds, workers):
    """Below by the longest job and the mean load; above by Graham's bound for any list."""
    mean, longest = sum(seconds) / workers, max(seconds)
    assert makespan(seconds, workers) >= max(mean, longest) * (1 - 1e-9)
    assert makespan(seconds, workers) <= (mean + (1 - 1 / workers) * longest) * (1 + 1e-9)


@given(durations, st.integers(1, 3))
def test_longest_first_is_within_a_third_of_the_best(seconds, workers):
    """Graham (1969): at most 4/3 - 1/(3 workers) times the best of all assignments, here all tried."""
    best = min(
        max(sum(s for s, at in zip(seconds, places, strict=True) if at == worker) for worker in range(workers))
        for places in product(range(workers), repeat=len(seconds))
    )
    assert makespan(seconds, workers) <= (4 / 3 - 1 / (3 * workers)) * best * (1 + 1e-9)


def test_makespans_worked_by_hand():
    assert makespan([], 3) == 0
    assert makespan([1, 2, 3], 1) == 6
    assert makespan([2, 3, 3, 2, 2], 2) == 7
    assert makespan([5, 1, 1], 8) == 5


def test_without_a_budget_everything_stays():
    planned = planned_of(grid())
    assert fit_to_budget(planned, None, 1) == (planned, [])
    assert fit_to_budget([], 1.0, 1) == ([], [])


@pytest.mark.parametrize(
    ("budget_minutes", "workers", "seeds"),
    [
        (8, 1, [0]),
        (15.9, 1, [0]),
        (16, 1, [0, 1]),
        (100, 1, [0, 1, 2]),
        (5, 2, [0]),
        (8, 2, [0, 1]),
        (12, 2, [0, 1, 2]),
    ],
)
def test_a_budget_takes_the_seeds_that_fit(budget_minutes, workers, seeds):
    kept, dropped = fit_to_budget(planned_of(grid()), budget_minutes * 60, workers)
    assert sorted({item.cell.config.seed for item in kept}) == seeds
    assert len(kept) == 3 * len(seeds)
    assert len(dropped) == 9 - len(kept)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(1, 100)), min_size=1, max_size=20),
    st.floats(1, 1000),
    st.integers(1, 4),
)
def test_no_seed_is_split_and_the_budget_is_kept(jobs, budget, workers):
    planned = [
        Planned(Cell((), Config(seed=seed), str(number)), Cost(seconds, 1e9, RECORDED))
        for number, (seed, seconds) in enumerate(jobs)
    ]
    try:
        kept, dropped = fit_to_budget(planned, budget, workers)
    except ConfigError:
        first = [seconds for seed, seconds in jobs if seed == jobs[0][0]]
        assert makespan(first, workers) > budget
        return
    assert not {item.cell.config.seed for item in kept} & {cell.config.seed for cell in dropped}
    assert {item.cell.fingerprint for item in kept} | {cell.fingerprint for cell in dropped} == set(
        map(str, range(len(jobs)))
    )
    assert makespan([item.cost.seconds for item in kept], workers) <= budget


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0,)])
def test_a_budget_below_one_seed_is_refused(seeds):
    with pytest.raises(ConfigError) as refusal:
        fit_to_budget(planned_of(grid(seeds=seeds)), 120, 2)
    assert str(refusal.value) == (
        "study.budget must have room for one seed of this grid. Received: 120 s. One seed is expected to take 300 s "
        "at 2 cells at a time. Raise it, use fewer epochs or a smaller grid."
    )


def test_the_longest_cells_go_first_and_ties_in_grid_order():
    launch = plan_of(grid()).launch
    assert [planned.cell.fingerprint for planned in launch] == [
        *("25-0", "25-1", "25-2"),
        *("5-0", "5-1", "5-2"),
        *("1-0", "1-1", "1-2"),
    ]


def test_a_seed_that_has_run_in_part_is_not_dropped_for_a_later_one():
    """With (1, 0) done, the first cell still to run is of seed 1; the budget goes to seed 0 all the same."""
    cells = grid()
    past = {cells[0].fingerprint: run_of(cells[0])}
    plan = plan_of(cells, past, budget=7 * 60.0)
    assert {each.cell.config.seed for each in plan.settled if each.status == DROPPED} == {1, 2}
    assert [planned.cell.fingerprint for planned in plan.launch] == ["25-0", "5-0"]


def test_costs_are_asked_for_the_cells_that_run_alone():
    cells = grid()
    asked = []

    def costs(configs):
        asked.extend(configs)
        return minutes(configs)

    make_plan(cells, {cell.fingerprint: run_of(cell) for cell in cells[:4]}, "failed", costs, None, 1)
    assert asked == [cell.config for cell in cells[4:]]


def test_a_plan_in_words():
    cells = grid(seeds=(0, 1, 2, 3))
    past = {cell.fingerprint: run_of(cell, status) for cell, status in zip(cells, STATUSES[::2], strict=False)}
    plan = plan_of(cells, past, "none", budget=720.0, workers=2)
    assert said(plan, disk=40e9, memory=12.6e9) == [
        "cell                      time   memory  predicted from",
        "mc_samples=25  seed=0    5m00s   1.5 GB  calibration",
        "mc_samples=25  seed=1    5m00s   1.5 GB  calibration",
        "mc_samples=25  seed=2    5m00s   1.5 GB  calibration",
        "mc_samples=5   seed=0    2m00s   1.5 GB  calibration",
        "mc_samples=5   seed=1    2m00s   1.5 GB  calibration",
        "mc_samples=5   seed=2    2m00s   1.5 GB  calibration",
        "mc_samples=1   seed=2    1m00s   1.5 GB  calibration",
        "",
        "12 cells: 7 to run, 1 skipped (finished before), 1 diverged, 3 dropped (by the budget)",
        "skipped   mc_samples=1   seed=0  run abcdef01",
        "diverged  mc_samples=1   seed=1  run abcdef01",
        "budget  12m00s keeps seeds 0, 1, 2; dropped: 3",
        "time    11m00s with 2 workers, ends at about 12:11",
        "memory  3.0 GB at once, 12.6 GB free",
        "disk    87 MB in all, 40.0 GB free",
    ]


def test_a_single_cell_is_named_by_all_its_overrides():
    plan = plan_of(grid((5,), (0,)))
    assert said(plan)[1].startswith("mc_samples=5  epochs=20  seed=0  ")
    assert said(plan)[3] == "1 cell: 1 to run"
    bare = plan_of([Cell((), Config(), "f")])
    assert said(bare)[1].startswith("defaults  ")


def test_an_end_on_another_day_has_its_date():
    plan = plan_of(grid())
    moment = datetime(2030, 12, 31, 23, 50)
    assert "time    24m00s with 1 worker, ends at about 00:14 on 2031-01-01" in said(plan, moment)


def test_the_time_of_a_study_that_decides_is_the_most_that_it_takes():
    deciding = replace(Config(mc_samples=5), study=StudyConfig(until="decided"))
    assert "time    at most 2m00s with 1 worker, ends by about 12:02" in said(plan_of([Cell((), deciding, "f")]))


def test_long_lists_are_cut_and_counted():
    many = plan_of(grid((1,), tuple(range(42))))
    lines = said(many)
    assert lines[30:33] == ["seed=29    1m00s   1.5 GB  calibration", "... and 12 more", ""]
    done = grid((1,), tuple(range(11)))
    lines = said(plan_of(done, {cell.fingerprint: run_of(cell) for cell in done}))
    assert lines[0] == "11 cells: 0 to run, 11 skipped (finished before)"
    assert lines[8:] == ["skipped   seed=7   run abcdef01", "... and 3 more"]


def test_want_of_memory_is_said_with_its_remedy():
    lines = said(plan_of(grid(), workers=4), memory=5.9e9)
    assert "memory  6.0 GB at once, 5.9 GB free" in lines
    assert lines[-1] == "WARNING: not enough memory. Use fewer workers, or a smaller batch_size or mc_samples."
    assert not any("WARNING" in line for line in said(plan_of(grid(), workers=4), memory=6.1e9))


def test_want_of_disk_is_said_with_its_remedy():
    plan = plan_of(grid((1,), (0, 1)))
    needed = sum(disk_bytes(planned.cell.config) for planned in plan.launch)
    lines = said(plan, disk=needed - 1)
    assert lines[-1] == "WARNING: not enough disk. Free some, or set tracking.runs to a folder elsewhere."
    assert not any("WARNING" in line for line in said(plan, disk=needed))


def test_a_summary_names_every_cell_that_was_not_dropped_and_counts_them():
    first, second, third = grid((1,))
    settled = [Outcome(first, SKIPPED, "a"), Outcome(second, schema.DIVERGED, "b", "left"), Outcome(third, DROPPED)]
    plan = Plan([], settled, 1, None)
    fourth, fifth = grid((5,), (0, 1))
    ended = [Outcome(fourth, schema.KILLED, "", "died"), Outcome(fifth, schema.FINISHED, "c")]
    assert summary(plan, ended, 90).splitlines() == [
        "finished  mc_samples=5  seed=1  run c",
        "skipped   mc_samples=1  seed=0  run a",
        "diverged  mc_samples=1  seed=1  run b  left",
        "killed    mc_samples=5  seed=0  run -  died",
        "2 of 4 cells finished in 1m30s: 1 finished, 1 skipped (finished before), 1 diverged, 1 killed",
    ]


def test_a_cell_is_named_by_what_tells_it_from_the_others_of_its_study():
    rates, epochs = (1e-3, 3e-3), "epochs=20"
    cells = [
        Cell((f"mc_samples={k}", epochs, "+data=mnist", f"learning_rate={rate}"),
             Config(mc_samples=k, learning_rate=rate), f"{k}-{rate}")
        for k, rate in product((1, 5), rates)
    ]  # fmt: skip
    assert varying(cells) == ["learning_rate"]
    study = Study("key", "name", [1.0] * 4, 0.0, [], varying(cells))
    assert [titled(cell.config, study) for cell in cells[:2]] == [
        "K=1 B=100 seed=0 learning_rate=0.001", "K=1 B=100 seed=0 learning_rate=0.003",
    ]  # fmt: skip
    assert titled(cells[1].config, None) == "K=1 B=100 seed=0"


def test_of_a_preset_that_varies_the_name_is_named():
    assert varying([Cell((f"model={name}",), Config(), name) for name in ("post", "conv")]) == ["model.name"]


def test_a_single_cell_differs_from_none():
    assert varying(grid((1,), (0,))) == []
