"""What is compared with what, what is left out and why, and what stands in the way of a verdict."""

import math
from dataclasses import replace

import numpy as np
import pytest

from src import schema
from src.inference import Design, Run, Verdict, contrasts, opponents
from src.inference.runs import LeftOut

NLL, FIFTH, DIGEST = schema.FINAL_TEST_NLL.key, schema.FINAL_TEST_NLL_FIFTH.key, schema.FORK_DIGEST.key
DESIGN = Design(0.5, NLL)
BASE = {"mc_samples": 1, "batch_size": 100, "epochs": 10, "objective": "elbo", "learning_rate": 1e-3}


def run(seed, nll, machine="cpu, 1", status=schema.FINISHED, metrics=None, paths=None, **settings):
    return Run({**BASE, **settings}, seed, status, {NLL: nll, **(metrics or {})}, machine, paths or {})


def cells(levels, seeds=6, sd=0.01, **settings):
    """Runs at each K with a mean, over seeds that have a large common part."""
    rng = np.random.default_rng(0)
    common = rng.normal(scale=5, size=seeds)
    return [
        run(seed, 100 + mean + common[seed] + rng.normal(scale=sd), mc_samples=k, **settings)
        for k, mean in levels.items()
        for seed in range(seeds)
    ]


def test_each_value_is_compared_with_the_largest_seed_by_seed():
    found = contrasts(cells({1: 1.0, 5: 0.0, 25: 0.0}), Design(0.5, NLL, comparisons=2))
    assert [(each.level, each.reference, each.judgement.pairs.n) for each in found] == [(1, 25, 6), (5, 25, 6)]
    assert found[0].judgement.pairs.mean == pytest.approx(1.0, abs=0.02)
    assert Verdict.WORSE_BY_MARGIN in found[0].judgement.verdicts
    assert Verdict.EQUIVALENT in found[1].judgement.verdicts
    assert [each.open for each in found] == [False, False]


@pytest.mark.parametrize(("reference", "expected"), [("min", 1), ("max", 25), ("5", 5)])
def test_the_reference_is_the_largest_the_smallest_or_a_value(reference, expected):
    found = contrasts(cells({1: 1.0, 5: 0.0, 25: 0.0}), Design(0.5, NLL, reference=reference))
    assert {each.reference for each in found} == {expected}
    assert len(found) == 2


def test_words_have_no_largest_value_and_a_missing_reference_gives_no_contrast():
    runs = cells({1: 0.0}) + cells({1: 0.5}, objective="iwae")
    assert contrasts(runs, Design(0.5, NLL, factor="objective")) == []
    assert contrasts(runs, Design(0.5, NLL, factor="objective", reference="vimco")) == []
    (found,) = contrasts(runs, Design(0.5, NLL, factor="objective", reference="elbo"))
    assert (found.level, found.reference, found.group["mc_samples"]) == ("iwae", "elbo", 1)


def test_groups_share_everything_but_the_factor_and_what_may_vary_with_it():
    runs = cells({1: 0.0}, epochs=50) + cells({5: 0.0}, epochs=10)
    assert contrasts(runs, DESIGN) == []
    assert len(contrasts(runs, Design(0.5, NLL, covarying=("epochs",)))) == 1
    both = cells({1: 0.0, 5: 0.0}) + cells({1: 0.0, 5: 0.0}, batch_size=30)
    assert sorted(each.group["batch_size"] for each in contrasts(both, DESIGN)) == [30, 100]
    assert len(opponents(both, DESIGN)) == 2


def test_runs_of_two_machines_or_of_two_trunks_are_no_pairs_and_that_is_said():
    runs = cells({1: 0.0, 5: 0.0})
    other = [run(r.seed, r.score(NLL), machine="other, 2", **dict(r.settings)) for r in runs[6:8]]
    (found,) = contrasts(runs[:6] + other + runs[8:], DESIGN)
    assert (found.judgement.pairs.n, found.left_out) == (4, {LeftOut.MACHINE: 2})
    forked = [run(r.seed, r.score(NLL), metrics={DIGEST: 7.0 + (r.seed == 3) * (n > 5)}, **dict(r.settings))
              for n, r in enumerate(runs)]  # fmt: skip
    (found,) = contrasts(forked, DESIGN)
    assert (found.judgement.pairs.n, found.left_out) == (5, {LeftOut.FORK: 1})


def test_a_run_to_come_is_no_pair_that_was_left_out():
    runs = cells({1: 0.0, 5: 0.0})
    runs[5] = run(5, math.nan, machine="", status="", mc_samples=1)
    (found,) = contrasts(runs, DESIGN)
    assert (found.judgement.pairs.n, found.left_out) == (5, {})


def test_a_diverged_run_stays_in_its_pair_and_no_seed_can_decide_any_more():
    runs = cells({1: 0.0, 5: 0.0})
    runs[2] = run(2, math.nan, status=schema.DIVERGED, mc_samples=1)
    (found,) = contrasts(runs, DESIGN)
    assert found.judgement.pairs.n == 6
    assert found.judgement.pairs.only_a == 1
    assert (found.obstacle, found.diverged) == ("diverged", (1, 0))
    assert (found.undecided, found.open, found.judgement.pairs_needed) == (True, False, None)


def test_failed_and_unfinished_runs_have_no_score():
    runs = cells({1: 0.0, 5: 0.0})
    runs[0] = run(0, 99.0, status=schema.FAILED, mc_samples=1)
    runs[1] = run(1, 99.0, status="", mc_samples=1)
    (found,) = contrasts(runs, DESIGN)
    assert found.judgement.pairs.n == 4
    assert [pair.seed for pair in found.pairs] == [2, 3, 4, 5]


def moved(levels, moves):
    """Runs whose difference a fifth of the draws moves so far."""
    return [run(r.seed, r.score(NLL), metrics={FIFTH: r.score(NLL) + 3 + moves * (n < 6)}, **dict(r.settings))
            for n, r in enumerate(cells(levels))]  # fmt: skip


@pytest.mark.parametrize(
    ("mean", "moves", "verdict"),
    [
        (0.0, 0.4, Verdict.EQUIVALENT), (0.0, 0.6, Verdict.UNDECIDED), (0.3, 0.1, Verdict.EQUIVALENT),
        (0.3, 0.25, Verdict.WORSE), (0.3, 0.35, Verdict.UNDECIDED), (1.5, 0.6, Verdict.WORSE_BY_MARGIN),
        (1.0, 0.6, Verdict.WORSE),
    ],
)  # fmt: skip
def test_a_verdict_holds_for_all_that_more_draws_may_change(mean, moves, verdict):
    """The margin is 0.5, the pairs' own interval is narrow: what decides is how far a fifth of the draws moves."""
    (found,) = contrasts(moved({1: mean, 5: 0.0}, moves), DESIGN)
    assert verdict in found.judgement.verdicts
    assert (Verdict.EQUIVALENT in found.judgement.verdicts) is (verdict is Verdict.EQUIVALENT)
    assert (Verdict.WORSE_BY_MARGIN in found.judgement.verdicts) is (verdict is Verdict.WORSE_BY_MARGIN)


@pytest.mark.parametrize(
    ("mean", "moves", "blocked"), [(0.3, 0.35, False), (0.3, 0.6, True), (-0.3, 0.6, False), (9.0, 0.6, False)]
)
def test_more_seeds_cannot_decide_where_the_draws_may_undo_every_verdict(mean, moves, blocked):
    """Of two seeds, before the first verdict is due. The margin is 0.5."""
    (found,) = contrasts([run for run in moved({1: mean, 5: 0.0}, moves) if run.seed < 2], DESIGN)
    assert found.undecided
    assert (found.obstacle == "draws") is blocked
    assert found.open is not blocked


def test_scores_by_quadrature_and_by_draws_are_no_pair():
    """Of one of six seeds quadrature did not converge in one run. A diverged run has neither, and stays in its pair."""
    exact = schema.FINAL_TEST_NLL_QUADRATURE.key
    runs = [
        run(r.seed, r.score(NLL), metrics={exact: r.score(NLL)}, **dict(r.settings)) for r in cells({1: 0.0, 5: 0.0})
    ]
    runs[2] = run(2, runs[2].score(NLL) + 2.5, metrics={FIFTH: runs[2].score(NLL) + 2.6}, **dict(runs[2].settings))
    (found,) = contrasts(runs, DESIGN)
    assert (found.judgement.pairs.n, found.judgement.bias) == (5, 0.0)
    assert found.left_out == {LeftOut.SCORE: 1}
    assert abs(found.judgement.pairs.mean) < 0.1
    runs[8] = run(2, runs[8].score(NLL) + 2.5, metrics={FIFTH: runs[8].score(NLL)}, **dict(runs[8].settings))
    assert contrasts(runs, DESIGN)[0].judgement.pairs.n == 5  # both are by draws, which the other pairs are not
    runs[3] = run(3, math.nan, status=schema.DIVERGED, **dict(runs[3].settings))
    assert contrasts(runs, DESIGN)[0].diverged == (1, 0)


def test_at_another_margin_the_pairs_are_judged_as_if_it_had_been_chosen():
    runs = cells({1: 0.3, 5: 0.0})
    runs = [run(r.seed, r.score(NLL), metrics={FIFTH: r.score(NLL) + 0.05 * (n < 6)}, **dict(r.settings))
            for n, r in enumerate(runs)]  # fmt: skip
    (found,) = contrasts(runs, DESIGN)
    for margin in (0.04, 0.26, 0.31, 2.0):
        (chosen,) = contrasts(runs, replace(DESIGN, margin=margin))
        assert found.judged_by(margin=margin) == chosen
        assert found.judged_by(margin=0.01).judged_by(margin=margin) == chosen
    assert found.judged_by(margin=0.31).undecided is False
    assert Verdict.EQUIVALENT in found.judged_by(margin=2.0).judgement.verdicts
    assert Verdict.EQUIVALENT not in found.judged_by(margin=0.26).judgement.verdicts


def test_a_metric_that_no_run_has_stands_in_the_way_instead_of_more_seeds():
    (found,) = contrasts(cells({1: 0.0, 5: 0.0}), Design(0.5, "final/no_such"))
    assert (found.obstacle, found.open) == ("unscored", False)
    planned = [run(seed, 0.0, status="", mc_samples=k) for k in (1, 5) for seed in range(6)]
    (found,) = contrasts(planned, Design(0.5, "final/no_such"))
    assert (found.obstacle, found.open) == ("", True)


def test_pairs_beyond_the_last_look_are_not_used():
    (found,) = contrasts(cells({1: 0.0, 5: 0.0}, seeds=12), DESIGN)
    assert found.judgement.pairs.n == 10
    (found,) = contrasts(cells({1: 0.0, 5: 0.0}, seeds=12), Design(0.5, NLL, n_max=None))
    assert found.judgement.pairs.n == 12


def tuning(rate, validation, nll):
    key = schema.VALIDATION_NLL.key
    return [run(seed, nll + seed, metrics={key: validation + seed}, mc_samples=k, learning_rate=rate)
            for k in (1, 5) for seed in range(5)]  # fmt: skip


def test_each_value_is_tuned_by_its_validation_nll_never_by_the_test_nll():
    runs = tuning(1e-3, 100.0, 90.0) + tuning(1e-4, 101.0, 80.0)
    (found,) = contrasts(runs, Design(0.5, NLL, tune="learning_rate"))
    assert [pair.level for pair in found.pairs] == [90.0, 91.0, 92.0, 93.0, 94.0]
    assert "learning_rate" not in found.group
    assert len(contrasts(runs, DESIGN)) == 2


def test_what_the_first_seed_chose_stays_when_later_seeds_have_it_alone():
    """The mean over all seeds would change to the other rate: later seeds are harder here."""
    runs = tuning(1e-3, 100.0, 90.0) + [each for each in tuning(1e-4, 101.0, 80.0) if each.seed == 0]
    (found,) = contrasts(runs, Design(0.5, NLL, tune="learning_rate"))
    assert found.tuned == (1e-3, 1e-3)
    assert found.judgement.pairs.n == 5


def test_nothing_is_chosen_before_a_run_has_a_validation_score():
    planned = [run(seed, 0.0, status="", mc_samples=k, learning_rate=rate)
               for k in (1, 5) for rate in (1e-3, 1e-4) for seed in range(5)]  # fmt: skip
    (found,) = contrasts(planned, Design(0.5, NLL, tune="learning_rate"))
    assert (found.tuned, found.judgement.pairs.n, found.open) == ((None, None), 0, True)


def path(nll, seconds):
    epochs = np.arange(1.0, len(nll) + 1)
    return {schema.TEST_NLL.key: np.asarray(nll, float), "epochs": epochs, "seconds": np.asarray(seconds, float)}


def test_paths_are_compared_at_the_largest_amount_that_both_reach():
    slow = [run(s, 0.0, paths=path([9, 7, 5, 4], [4, 8, 12, 16]), mc_samples=5) for s in range(4)]
    fast = [run(s, 0.0, paths=path([10, 8, 6, 5], [1, 2, 3, 6]), mc_samples=1) for s in range(4)]
    (found,) = contrasts(fast + slow, DESIGN, "epochs")
    assert found.judgement.pairs.mean == 1.0
    (found,) = contrasts(fast + slow, DESIGN, "seconds")  # at 6 s: 5 against 8
    assert found.judgement.pairs.mean == -3.0
    early = [run(s, 0.0, paths=path([10, 8], [1, 2]), mc_samples=1) for s in range(4)]
    (found,) = contrasts(early + slow, DESIGN, "seconds")  # the slow one has no score by then
    assert found.judgement.pairs.n == 0
