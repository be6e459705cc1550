"""What is compared with what, what is left out and why, and what stands in the way of a verdict."""

from dataclasses import replace

import numpy as np
import pytest

from src import schema
from src.inference import Design, Run, Verdict, contrasts
from src.inference.runs import LeftOut

NLL, FIFTH, DIGEST = schema.FINAL_TEST_NLL.key, schema.FINAL_TEST_NLL_FIFTH.key, schema.FORK_DIGEST.key
DESIGN, TUNED = Design(0.5, NLL), Design(0.5, NLL, tune="learning_rate")
BASE = {"mc_samples": 1, "batch_size": 100, "epochs": 10, "objective": "elbo", "learning_rate": 1e-3}


def run(seed, nll, machine="cpu", status=schema.FINISHED, metrics=None, paths=None, **settings):
    tags = {schema.CPU: machine, schema.THREADS: "1"}
    return Run({**BASE, **settings, "seed": seed}, status, {NLL: nll, **(metrics or {})}, tags, paths or {})


def cells(levels, seeds=6, sd=0.01, **settings):
    """Runs at each K with a mean, over seeds that have a large common part."""
    rng = np.random.default_rng(0)
    common = rng.normal(scale=5, size=seeds)
    return [
        run(seed, 100 + mean + common[seed] + rng.normal(scale=sd), mc_samples=k, **settings)
        for k, mean in levels.items()
        for seed in range(seeds)
    ]


def with_metric(runs, key, value):
    """The same runs with a metric more; value: of the run and its place."""
    return [replace(r, metrics={**r.metrics, key: value(r, n)}) for n, r in enumerate(runs)]


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
    assert [each.reference for each in found] == [expected] * 2


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


def test_runs_of_two_machines_or_of_two_trunks_are_no_pairs_and_are_counted():
    runs = cells({1: 0.0, 5: 0.0})
    other = [replace(r, tags={**r.tags, schema.CPU: "other"}) for r in runs[6:8]]
    (found,) = contrasts(runs[:6] + other + runs[8:], DESIGN)
    assert (found.judgement.pairs.n, found.left_out) == (4, {LeftOut.MACHINE: 2})
    (found,) = contrasts(with_metric(runs, DIGEST, lambda r, n: 7.0 + (r.seed == 3) * (n > 5)), DESIGN)
    assert (found.judgement.pairs.n, found.left_out) == (5, {LeftOut.FORK: 1})


@pytest.mark.parametrize(("status", "n"), [("", 5), (schema.FAILED, 5), (schema.DIVERGED, 6)])
def test_a_run_without_a_score_is_no_pair_unless_it_diverged(status, n):
    runs = cells({1: 0.0, 5: 0.0})
    runs[2] = replace(runs[2], status=status, tags={} if not status else runs[2].tags)
    (found,) = contrasts(runs, DESIGN)
    assert (found.judgement.pairs.n, len(found.pairs), found.left_out) == (n, n, {})
    if status == schema.DIVERGED:
        assert (found.obstacle, found.diverged, found.judgement.pairs.only_a) == ("diverged", (1, 0), 1)
        assert (found.undecided, found.judgement.pairs_needed) == (True, None)


def moved(levels, moves):
    """Runs whose difference a fifth of the draws moves so far."""
    return with_metric(cells(levels), FIFTH, lambda r, n: r.score(NLL) + 3 + moves * (n < 6))


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
    runs = with_metric(cells({1: 0.0, 5: 0.0}), exact, lambda r, n: r.score(NLL))

    def by_draws(r):
        return replace(r, metrics={NLL: r.score(NLL) + 2.5, FIFTH: r.score(NLL) + 2.6})

    runs[2] = by_draws(runs[2])
    (found,) = contrasts(runs, DESIGN)
    assert (found.judgement.pairs.n, found.judgement.bias, found.left_out) == (5, 0.0, {LeftOut.SCORE: 1})
    assert abs(found.judgement.pairs.mean) < 0.1
    runs[8] = by_draws(runs[8])
    assert contrasts(runs, DESIGN)[0].judgement.pairs.n == 5  # both are by draws, which the other pairs are not
    runs[3] = replace(runs[3], status=schema.DIVERGED)
    assert contrasts(runs, DESIGN)[0].diverged == (1, 0)


def test_at_another_margin_the_pairs_are_judged_as_if_it_had_been_chosen():
    runs = with_metric(cells({1: 0.3, 5: 0.0}), FIFTH, lambda r, n: r.score(NLL) + 0.05 * (n < 6))
    (found,) = contrasts(runs, DESIGN)
    for margin in (0.04, 0.26, 0.31, 2.0):
        (chosen,) = contrasts(runs, replace(DESIGN, margin=margin))
        assert found.judged_by(margin=margin) == chosen
        assert found.judged_by(margin=0.01).judged_by(margin=margin) == chosen
    assert found.judged_by(margin=2.0).judgement.proves(Verdict.EQUIVALENT)
    assert not found.judged_by(margin=0.26).judgement.proves(Verdict.EQUIVALENT)


def test_a_metric_that_no_run_has_stands_in_the_way_instead_of_more_seeds():
    runs = cells({1: 0.0, 5: 0.0})
    (found,) = contrasts(runs, Design(0.5, "final/no_such"))
    assert (found.obstacle, found.open) == ("unscored", False)
    (found,) = contrasts([replace(r, status="") for r in runs], Design(0.5, "final/no_such"))
    assert (found.obstacle, found.open) == ("", True)


@pytest.mark.parametrize(("n_max", "n"), [(10, 10), (None, 12)])
def test_pairs_beyond_the_last_look_are_not_used(n_max, n):
    (found,) = contrasts(cells({1: 0.0, 5: 0.0}, seeds=12), Design(0.5, NLL, n_max=n_max))
    assert found.judgement.pairs.n == n


def tuning(rate, validation, nll, status=schema.FINISHED):
    key = schema.VALIDATION_NLL.key
    return [run(seed, nll + seed, status=status, metrics={key: validation + seed}, mc_samples=k, learning_rate=rate)
            for k in (1, 5) for seed in range(5)]  # fmt: skip


def test_each_value_is_tuned_by_its_validation_nll_never_by_the_test_nll():
    runs = tuning(1e-3, 100.0, 90.0) + tuning(1e-4, 101.0, 80.0)
    (found,) = contrasts(runs, TUNED)
    assert [pair.level for pair in found.pairs] == [90.0, 91.0, 92.0, 93.0, 94.0]
    assert "learning_rate" not in found.group
    assert len(contrasts(runs, DESIGN)) == 2


def test_what_the_first_seed_chose_stays_when_later_seeds_have_it_alone():
    """The mean over all seeds would change to the other rate: later seeds are harder here."""
    runs = tuning(1e-3, 100.0, 90.0) + [each for each in tuning(1e-4, 101.0, 80.0) if each.seed == 0]
    (found,) = contrasts(runs, TUNED)
    assert (found.tuned, found.judgement.pairs.n) == ((1e-3, 1e-3), 5)


def test_nothing_is_chosen_before_a_run_has_a_validation_score():
    (found,) = contrasts(tuning(1e-3, 0.0, 0.0, "") + tuning(1e-4, 0.0, 0.0, ""), TUNED)
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
