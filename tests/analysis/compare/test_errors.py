"""Simulated comparisons: how often a regression is found, and how often one is called that is none."""

import numpy as np
import pytest
from scipy import stats

from analysis.compare.numbers import STUDIES, STUDY, answer, judged_once
from src import schema
from src.inference import Design, Run, Verdict
from tests.statistics import Z

STUDIES_MADE, CELLS, PAIRS, ALPHA = 1000, 2, 5, 0.05
METRIC = "final/test_nll"
PLAN = Design(1.0, METRIC, None, alpha=ALPHA, comparisons=CELLS, factor=STUDY, reference="A")


def verdicts(rng, shift, plan=PLAN):
    """The verdicts on the cells of two studies whose differences B - A are normal, of this mean and sd 1."""
    runs = [
        Run({STUDY: name, "mc_samples": k, "batch_size": 100, "seed": seed}, schema.FINISHED, {METRIC: value})
        for k in range(CELLS)
        for seed, value in enumerate(rng.normal(size=PAIRS))
        for name, value in zip(STUDIES, (10 * seed, 10 * seed + shift + value), strict=True)
    ]
    return [answer(each) for each in judged_once(runs, plan)]


def rates(shift, plan=PLAN):
    """The shares of studies with a regression in their first cell, in any cell, and with a `not worse` in any."""
    made = [verdicts(np.random.default_rng((7, n)), shift, plan) for n in range(STUDIES_MADE)]
    in_any = [np.mean([what in each for each in made]) for what in (Verdict.WORSE_BY_MARGIN, Verdict.NOT_WORSE)]
    return np.mean([each[0] == Verdict.WORSE_BY_MARGIN for each in made]), *in_any


def close(rate, expected):
    return abs(rate - expected) <= Z * np.sqrt(expected * (1 - expected) / STUDIES_MADE)


def power(shift, alpha):
    """P(a cell is called a regression): noncentral t, one-sided alpha / 2 over the cells."""
    bound = stats.t.isf(alpha / 2 / CELLS, PAIRS - 1)
    return stats.nct.sf(bound, PAIRS - 1, (shift - PLAN.margin) * np.sqrt(PAIRS))


@pytest.mark.parametrize("shift", [3.0, 4.0])
def test_a_true_regression_is_found_at_the_nominal_rate(shift):
    found, _, passed = rates(shift)
    assert 0.2 < power(shift, ALPHA) < 0.99
    assert close(found, power(shift, ALPHA))
    assert not close(found, power(shift, CELLS * ALPHA))  # of the level that is not shared among the cells
    assert passed <= 0.01


def test_errors_at_the_margin_have_their_level_over_all_cells():
    """The worst case of both errors: no regression by more than the margin, and no `not worse`."""
    _, regression, passed = rates(PLAN.margin)
    assert close(regression, 1 - (1 - ALPHA / 2 / CELLS) ** CELLS)
    assert close(passed, 1 - (1 - ALPHA / CELLS) ** CELLS)


def test_equal_studies_are_hardly_ever_called_a_regression():
    _, regression, passed = rates(0.0)
    assert regression <= 0.01
    assert passed > 0.3
