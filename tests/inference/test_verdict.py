"""Verdicts: error rates and operating characteristics by simulation, a naive rule that fails, and their symmetries."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.inference import Design, Paired, Verdict, critical_values, judge
from tests.inference import studies
from tests.inference.studies import N0, N_MAX, agrees, at_most

DESIGN = Design(margin=1.0, metric="final/test_nll", n_max=N_MAX)
DIRECTIONS = {
    Verdict.BETTER: Verdict.WORSE,
    Verdict.WORSE: Verdict.BETTER,
    Verdict.BETTER_BY_MARGIN: Verdict.WORSE_BY_MARGIN,
    Verdict.WORSE_BY_MARGIN: Verdict.BETTER_BY_MARGIN,
}
REPEATED = critical_values(N_MAX, 0.05), critical_values(N_MAX, 0.025)
NAIVE = studies.t_quantiles(0.05), studies.t_quantiles(0.025)

# margin / sd, mean / sd: equivalent, differs, undecided, mean n, as documented; half a unit of the last digit printed.
CHARACTERISTICS = [
    (0.5, 0.0, (0.03, 0.050, 0.92, 9.8), (0.005, 0.0005, 0.005, 0.05)),
    (1.0, 0.0, (0.63, 0.043, 0.33, 8.5), (0.005, 0.0005, 0.005, 0.05)),
    (1.0, 1.0, (0.043, 0.69, 0.27, 7.9), (0.0005, 0.005, 0.005, 0.05)),
    (1.0, 2.0, (0.0, 0.999, 0.001, 5.4), (0.0005, 0.0005, 0.0005, 0.05)),
    (1.5, 0.0, (0.97, 0.024, 0.017, 6.4), (0.005, 0.0005, 0.0005, 0.05)),
    (2.0, 0.0, (0.996, 0.014, 0.0, 5.2), (0.0005, 0.0005, 0.0005, 0.05)),
]
plausible = st.tuples(st.integers(2, N_MAX), st.floats(-3, 3), st.floats(1e-3, 3), st.floats(0.01, 3))


def verdicts(d, design=DESIGN, looks=range(N0, N_MAX + 1)):
    """The verdicts of one study's differences at each of its looks."""
    return [judge(Paired(n, float(d[:n].mean()), float(d[:n].std(ddof=1))), design).verdicts for n in looks]


@pytest.mark.parametrize(("margin", "mean", "stated", "rounding"), CHARACTERISTICS)
def test_operating_characteristics(margin, mean, stated, rounding):
    d = mean + studies.normal(np.random.default_rng(10))
    found = studies.study(d, margin, *REPEATED)
    for rate, expected, unit in zip(found[:3], stated[:3], rounding, strict=False):
        assert agrees(rate, expected, rounding=unit)
    assert found.mean_n == pytest.approx(stated[3], abs=rounding[3] + 5 * 3 / np.sqrt(studies.COUNT))
    assert mean or at_most(found.differs, 0.05)
    assert mean != margin or at_most(found.equivalent, 0.05)


def test_a_naive_rule_errs_twice_as_often_and_fails_the_same_test():
    rng = np.random.default_rng(11)
    false_equivalence = studies.study(1.0 + studies.normal(rng), 1.0, *NAIVE).equivalent
    false_direction = studies.study(studies.normal(rng), 1.0, *NAIVE).differs
    assert agrees(false_equivalence, 0.106, rounding=0.0005)
    assert agrees(false_direction, 0.11, rounding=0.005)
    assert not at_most(false_equivalence, 0.05)
    assert not at_most(false_direction, 0.05)


@pytest.mark.parametrize(
    ("law", "repeated", "naive"),
    [(studies.student, 0.019, None), (studies.log_normal, 0.084, 0.18), (studies.collapsing, 0.059, None)],
)
def test_heavy_tails_keep_the_level_and_skew_costs(law, repeated, naive):
    d = law(np.random.default_rng(12))
    assert agrees(studies.study(d, 1.0, *REPEATED).differs, repeated, rounding=0.0005)
    assert naive is None or agrees(studies.study(d, 1.0, *NAIVE).differs, naive, rounding=0.005)
    assert at_most(studies.study(d, 1.0, *REPEATED).differs, 0.05) == (law is studies.student)


@pytest.mark.parametrize(("law", "rate"), [(studies.student, 0.028), (studies.log_normal, 0.158)])
def test_a_skewed_difference_at_the_margin_is_called_equivalent_too_often(law, rate):
    assert agrees(studies.study(1.0 + law(np.random.default_rng(13)), 1.0, *REPEATED).equivalent, rate, rounding=0.0005)


@pytest.mark.parametrize("n_max", [N_MAX, None])
def test_a_thousand_studies_with_known_truth(n_max):
    """Whether a false thing is said at any look: the worst that a rule of stopping can do."""
    count, design = 1000, replace(DESIGN, n_max=n_max)
    null = studies.normal(np.random.default_rng(14), count)
    said_at_null = [set().union(*verdicts(d, design)) for d in null]
    said_at_margin = [set().union(*verdicts(d + 1.0, design)) for d in null]
    for verdict in (Verdict.BETTER, Verdict.WORSE):
        assert at_most(np.mean([verdict in said for said in said_at_null]), 0.025, count)
    for verdict, level in ((Verdict.EQUIVALENT, 0.05), (Verdict.NOT_WORSE, 0.05), (Verdict.WORSE_BY_MARGIN, 0.025)):
        assert at_most(np.mean([verdict in said for said in said_at_margin]), level, count)
    # Not by saying nothing.
    assert np.mean([Verdict.EQUIVALENT in said for said in said_at_null]) > (0.5 if n_max else 0.1)
    assert np.mean([Verdict.WORSE in said for said in said_at_margin]) > (0.5 if n_max else 0.1)


def test_the_verdict_code_says_what_the_vectorised_studies_say():
    d = 0.5 + studies.normal(np.random.default_rng(15), 200)
    first = [next((v for v in verdicts(x) if Verdict.UNDECIDED not in v), ()) for x in d]
    rates = studies.study(d, 1.0, *REPEATED)
    assert np.mean([Verdict.EQUIVALENT in v for v in first]) == pytest.approx(rates.equivalent)
    assert np.mean([Verdict.BETTER in v or Verdict.WORSE in v for v in first]) == pytest.approx(rates.differs)


def test_comparisons_share_the_error():
    count, design = 400, replace(DESIGN, comparisons=3)
    d = 1.0 + studies.normal(np.random.default_rng(16), 3 * count)
    said = np.array([any(Verdict.EQUIVALENT in v for v in verdicts(x, design)) for x in d]).reshape(count, 3)
    assert at_most(said.any(axis=1).mean(), 0.05, count)
    alone = np.array([any(Verdict.EQUIVALENT in v for v in verdicts(x)) for x in d]).reshape(count, 3)
    assert not at_most(alone.any(axis=1).mean(), 0.05, count)
    found = judge(Paired(6, 0.0, 0.1), design)
    assert found.design.level == 0.05 / 3


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        (0.0, "equivalent, not worse"),
        (0.4, "equivalent, not worse, worse"),
        (-0.4, "equivalent, not worse, better"),
        (1.0, "worse"),
        (2.0, "worse, worse by more than the margin"),
        (-2.0, "not worse, better, better by more than the margin"),
    ],
)
def test_all_that_holds_is_said(mean, said):
    assert ", ".join(judge(Paired(10, mean, 0.3), DESIGN).verdicts) == said


def test_undecided_may_stand_beside_not_worse():
    found = judge(Paired(4, -0.9, 0.5), DESIGN)
    assert found.verdicts == (Verdict.NOT_WORSE, Verdict.UNDECIDED)
    nothing = judge(Paired(3, 0.0, 0.1), DESIGN)
    assert nothing.verdicts == (Verdict.UNDECIDED,)
    assert nothing.provable_margin == math.inf
    assert nothing.pairs_needed == 1
    unknown = judge(Paired(6, math.nan, math.nan, only_a=1), DESIGN)
    assert (unknown.verdicts, unknown.pairs_needed) == ((Verdict.UNDECIDED,), None)


@settings(deadline=None)
@given(plausible)
def test_exchanging_the_sides_mirrors_the_verdicts(drawn):
    n, mean, sd, margin = drawn
    design = replace(DESIGN, margin=margin)
    found, mirrored = judge(Paired(n, mean, sd), design), judge(Paired(n, -mean, sd), design)
    keep = set(found.verdicts) - {Verdict.NOT_WORSE}
    assert {DIRECTIONS.get(v, v) for v in keep} == set(mirrored.verdicts) - {Verdict.NOT_WORSE}
    assert mirrored.interval == (-found.interval.high, -found.interval.low)
    assert (mirrored.provable_margin, mirrored.pairs_needed) == (found.provable_margin, found.pairs_needed)


@settings(deadline=None)
@given(plausible, st.integers(-20, 20))
def test_the_unit_does_not_matter(drawn, exponent):
    n, mean, sd, margin = drawn
    unit = 2.0**exponent  # exact in floating point
    found = judge(Paired(n, mean, sd), replace(DESIGN, margin=margin))
    other = judge(Paired(n, mean * unit, sd * unit), replace(DESIGN, margin=margin * unit))
    assert other.verdicts == found.verdicts
    assert (other.provable_margin, other.pairs_needed) == (found.provable_margin * unit, found.pairs_needed)


@settings(deadline=None)
@given(plausible, st.floats(1.0, 10.0))
def test_a_wider_margin_keeps_equivalence(drawn, factor):
    n, mean, sd, margin = drawn
    pairs = Paired(n, mean, sd)
    narrow, wide = (set(judge(pairs, replace(DESIGN, margin=m)).verdicts) for m in (margin, margin * factor))
    assert narrow & {Verdict.EQUIVALENT, Verdict.NOT_WORSE} <= wide
    assert wide & {Verdict.BETTER_BY_MARGIN, Verdict.WORSE_BY_MARGIN} <= narrow
    assert Verdict.EQUIVALENT not in narrow or Verdict.NOT_WORSE in narrow


@settings(deadline=None)
@given(plausible)
def test_the_provable_margin_is_the_least_that_is_equivalent(drawn):
    n, mean, sd, _ = drawn
    pairs = Paired(n, mean, sd)
    least = judge(pairs, DESIGN).provable_margin
    if math.isfinite(least):
        above, below = (judge(pairs, replace(DESIGN, margin=least * f)).verdicts for f in (1 + 1e-9, 1 - 1e-9))
        assert Verdict.EQUIVALENT in above
        assert Verdict.EQUIVALENT not in below


@settings(deadline=None)
@given(plausible, st.sampled_from([N_MAX, 30, None]))
def test_the_pairs_needed_are_the_fewest_that_decide(drawn, n_max):
    n, mean, sd, margin = drawn
    design = replace(DESIGN, margin=margin, n_max=n_max)

    def decided(more):
        return Verdict.UNDECIDED not in judge(Paired(n + more, mean, sd), design).verdicts

    needed = judge(Paired(n, mean, sd), design).pairs_needed
    if needed is None:
        assert not decided((n_max or 10_000) - n)
    else:
        assert decided(needed)
        assert needed == 0 or not decided(needed - 1)


@pytest.mark.parametrize(("mean", "bias"), [(0.0, 0.0), (0.13, 0.0), (0.13, 0.02), (0.6, 0.1)])
def test_a_new_study_is_the_smallest_that_decides(mean, bias):
    """Of differences with sd 0.2 at a margin of 0.25: near 0, near the margin, and beyond it."""
    seen = judge(Paired(6, mean, 0.2), Design(0.25, "final/test_nll", n_max=6, comparisons=2), bias)

    def decided(n):
        new = replace(seen.design, n_max=n)
        return Verdict.UNDECIDED not in judge(Paired(n, mean, 0.2), new, bias).verdicts

    n = seen.pairs_of_new_study
    assert decided(n)
    assert n == 4 or not decided(n - 1)


def test_a_new_study_that_would_be_too_large_has_no_size():
    """The mean is at the margin, and its bias as large: no number of pairs decides."""
    seen = judge(Paired(6, 0.25, 0.2), Design(0.25, "final/test_nll", n_max=6), 0.25)
    assert seen.pairs_of_new_study is None
