"""A grid that adds seeds until every comparison is decided: its design, and what is open after the seeds so far."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from src import schema
from src.config import Config, ConfigError, StudyConfig, identifying, nll_kind, refusal
from src.inference import STUDY_KEYS, Contrast, Design, Run, contrasts, opponents, plain
from src.recording import Ledger, Runs, held, write_whole
from src.sweep.ledgers import representative
from src.sweep.plan import Cell, Plan, Planned, fit_to_budget, makespan
from src.writing import render


def design_of(study: StudyConfig, cells: Sequence[Cell]) -> Design:
    """The design of a grid. Raises ConfigError where it was to decide, but compares nothing."""
    design = Design.asked({f"study.{key}": value for key, value in asdict(study).items() if value is not None})
    count = len(opponents([as_run(cell, None) for cell in cells], design))
    if not count and study.until:
        values = ",".join(sorted({str(identifying(cell.config)[design.factor]) for cell in cells}))
        expected = f"a value of {design.factor} that the grid has beside others, all else equal"
        received = f"{design.reference}, with {design.factor}={values}"
        raise ConfigError(refusal("study.reference", expected, received, "For example -m mc_samples=1,5,25."))
    return replace(design, comparisons=max(count, 1))


def record_design(design: Design, folder: Path, cells: Sequence[Cell]) -> bool:
    """Record a design before the first run of its grid; returns whether it is new.

    Raises ConfigError where another one is recorded for this grid.

    Args:
        design: of this start.
        folder: of all studies.
        cells: of the grid; those of the first seed identify it.
    """
    first = sorted(cell.fingerprint for cell in cells if cell.config.seed == cells[0].config.seed)
    file = folder / f"design-{sha256(''.join(first).encode()).hexdigest()[:12]}.json"
    now = asdict(design)
    with held(folder):
        if new := not file.exists():
            write_whole(file, json.dumps(now, indent=1))
        try:
            # By an earlier version, it may lack keys, and have some that are gone.
            before = Design(**{name: value for name, value in json.loads(file.read_text()).items() if name in now})
        except (ValueError, TypeError, AttributeError) as error:
            remedy = "Restore it, or ask anew with new seeds, such as seed=100: what was fixed before is not known."
            raise ConfigError(refusal(f"{file}", "the design of this grid in JSON", error, remedy)) from error
    for name, setting in STUDY_KEYS.items():
        old, given = getattr(before, name), getattr(design, name)
        if old != given:
            expected = f"{old}, as recorded before the first run of this grid; changed after a look, it errs more often"
            remedy = "Keep it, or ask anew with new seeds, such as seed=100. The report gives the margin that is shown."
            raise ConfigError(refusal(setting, expected, given, remedy))
    return new


def seeds_of_study(configs: Sequence[Config]) -> str:
    """The seeds of a grid that adds seeds by itself. Raises ConfigError where seeds are swept as well."""
    given = sorted({config.seed for config in configs})
    if len(given) > 1:
        remedy = "Leave seed out and set study.seeds, or set study.until=null."
        received = ",".join(map(str, given))
        raise ConfigError(refusal("seed", "one number with study.until=decided, the first seed", received, remedy))
    return f"range({given[0]},{given[0] + configs[0].study.seeds})"


def compared(cell: Cell) -> dict[str, Any]:
    """The settings of a cell's identity, by which it is compared, with what its run derives from them."""
    kind = nll_kind(cell.config)
    return {**identifying(cell.config), schema.NLL_KIND: kind, schema.DATA_DIGEST: cell.data_digest}


def as_run(cell: Cell, ledger: Ledger | None) -> Run:
    """A cell as the comparison sees it; without a ledger it has no score."""
    if ledger is None:
        return Run(compared(cell), "", {}, {})
    return Run(compared(cell), ledger.status, ledger.latest(), ledger.tags)


def judged(cells: Iterable[Cell], runs: Runs, design: Design) -> list[Contrast]:
    """What the runs so far prove, of all cells of a grid."""
    return contrasts([as_run(cell, representative(cell, runs)) for cell in cells], design)


def next_wave(plan: Plan, done: Sequence[Cell], found: Sequence[Contrast], seconds: float) -> list[Planned]:
    """The cells to launch next: whole seeds of what is still open, in the order of seeds; none where the study ends.

    All seeds that the first verdicts need are taken at once, later one or as many as keep the workers busy.
    Where a setting is tuned, the first seed goes alone, with all of its values, and later seeds have the chosen one.

    Args:
        plan: of all cells and seeds, or of those that are needed.
        done: cells that have been launched.
        found: the contrasts of the seeds so far.
        seconds: left of the budget.
    """
    left = [item for item in needed(plan, found).launch if item.cell not in done]
    seeds = sorted({item.cell.config.seed for item in left})
    if not seeds:
        return []
    least = max(each.judgement.design.n0 - each.judgement.pairs.n for each in found if each.open)
    waves = [[item for item in left if item.cell.config.seed in seeds[:count]] for count in range(1, len(seeds) + 1)]
    due = waves[max(least, 1) - 1 :]
    tuning = any(each.open and untuned(each) for each in found)
    wave = waves[0] if tuning else next((wave for wave in due if busy(wave, plan.workers)), waves[-1])
    try:
        return fit_to_budget(wave, None if math.isinf(seconds) else max(seconds, 0.0), plan.workers)[0]
    except ConfigError:
        if not done:
            raise
        return []


def busy(wave: Sequence[Planned], workers: int) -> bool:
    """Whether the workers wait for the longest cells of a wave for a quarter of its work at most."""
    seconds = [item.cost.seconds for item in wave]
    return workers * makespan(seconds, workers) <= 1.25 * sum(seconds)


def untuned(contrast: Contrast) -> bool:
    """Whether a setting is still to be chosen for one of its two values."""
    return contrast.judgement.design.tune is not None and None in contrast.tuned


def needed(plan: Plan, found: Sequence[Contrast]) -> Plan:
    """The plan without the cells that no open contrast needs."""
    return plan._replace(launch=[item for item in plan.launch if is_needed(item.cell, found)])


def is_needed(cell: Cell, found: Iterable[Contrast]) -> bool:
    """Whether a cell is one of the two values of an open contrast, in its group, with the setting chosen for it."""
    settings = compared(cell)
    return any(
        any(
            plain(settings[design.factor]) == value and (chosen is None or settings[str(design.tune)] == chosen)
            for value, chosen in zip((each.level, each.reference), each.tuned, strict=True)
        )
        and all(settings[key] == value for key, value in each.group.items())
        for each in found
        if each.open
        for design in [each.judgement.design]
    )


def price(plan: Plan, design: Design, found: Sequence[Contrast]) -> str:
    """What a study is going to take, from its plan and the contrasts of the seeds that are finished already."""
    by_seed = defaultdict[int, list[Planned]](list)
    for item in plan.launch:
        by_seed[item.cell.config.seed].append(item)
    lasts = partial(makespan, workers=plan.workers)
    a_seed = max((lasts(of_chosen(items, design)) for items in by_seed.values()), default=0.0)
    first = by_seed[min(by_seed, default=0)]
    looks = range(design.n0, (design.n_max or design.n0) + 1)
    return render(
        Path(__file__).with_name("price.txt.j2"),
        design=design,
        seed=a_seed,
        tuning=lasts(item.cost.seconds for item in first) - lasts(of_chosen(first, design)),
        spreads={
            n: design.margin * n**0.5 / design.bound(n, design.level)
            for n in sorted({looks[0], looks[len(looks) // 2], looks[-1]})
        },
        sd=max((each.judgement.pairs.sd for each in found if each.judgement.pairs.sd > 0), default=None),
        lacking=max((design.n0 - each.judgement.pairs.n for each in found if each.open), default=0),
    )


def of_chosen(planned: Iterable[Planned], design: Design) -> Iterable[float]:
    """Seconds of the cells of a seed that has the chosen value of the tuned setting alone: of the longest, at most."""
    longest = defaultdict[str, float](float)
    for item in planned:
        rest = {key: value for key, value in compared(item.cell).items() if key != design.tune}
        longest[str(rest)] = max(longest[str(rest)], item.cost.seconds)
    return longest.values()
