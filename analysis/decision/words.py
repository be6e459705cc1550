"""The decision, as the report writes it."""

from collections.abc import Sequence
from functools import partial

import pandas as pd

from analysis.decision.numbers import Decision
from analysis.display import Table, counted
from analysis.store import SEED
from src.inference import Contrast, answer, command, table
from src.schema import Quantity

ERRORS = (
    "{what}: each value against the reference, seed by seed. A false equivalence has probability at most {alpha:g} "
    "over {m} and {looks}, a false direction {half:g} a side; intervals hold at all looks at once."
)
MATCHED = (
    "The same at equal amounts: the test NLL after an epoch, of few draws, interpolated at the largest amount that "
    "both runs of a pair reach; from the fork on where there is one."
)


def answers(decision: Decision, runs: pd.DataFrame) -> list[str]:
    """The answer, two lines for each group, as in the terminal. Its commands repeat the latest grid of the runs."""
    if not decision.contrasts:
        return []
    grids = runs.sort_values("start_time")["parent_name"].dropna()
    design, first = decision.contrasts[0].judgement.design, int(runs[SEED].min())
    return answer(
        decision.contrasts, partial(command, grids.iloc[-1].split() if len(grids) else ["..."], design, first)
    )


def verdict_table(contrasts: Sequence[Contrast], what: str) -> Table:
    """Every contrast with its intervals and verdicts."""
    if not contrasts:
        return Table(what, [], [])
    design = contrasts[0].judgement.design
    looks = f"up to {design.n_max} seeds" if design.n_max else "any number of seeds"
    numbers = {
        "alpha": design.alpha,
        "half": design.alpha / 2,
        "m": counted(design.comparisons, "comparison"),
        "looks": looks,
    }
    heads, *rows = table(contrasts)
    return Table(ERRORS.format(what=what, **numbers), list(heads), [list(row) for row in rows])


def matched_table(matched: dict[Quantity, list[Contrast]]) -> Table:
    """The differences at equal epochs, updates, decoder evaluations and seconds."""
    rows = []
    for axis, contrasts in matched.items():
        _, *found = table(contrasts)
        rows += [[f"equal {axis.label}", *row] for row in found]
    heads = table(next(iter(matched.values()), []))[0]
    return Table(MATCHED, ["at", *heads], rows)
