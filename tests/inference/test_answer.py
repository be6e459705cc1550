"""What is enough, what it takes to decide, and that the sentences hold the numbers of the records."""

from dataclasses import replace

import numpy as np
import pytest

from src import schema
from src.inference import ANSWER, Design, Run, answers, command, contrasts, enough
from src.writing import render

NLL = schema.FINAL_TEST_NLL.key
TIMES = {schema.TRAIN_SECONDS.key: {1: 1.0, 5: 3.0, 25: 13.0}, schema.RUN_SECONDS.key: {1: 30.0, 5: 60.0, 25: 180.0}}


def runs(means, seeds=6, sd=0.01, **settings):
    """Runs at each K whose differences from the largest K have these means and this sd."""
    rng = np.random.default_rng(1)
    return [
        Run({"mc_samples": k, "batch_size": 100, "seed": seed, **settings}, schema.FINISHED,
            {NLL: 100 + seed + mean + rng.normal(scale=sd) * (k < 25), **{key: of[k] for key, of in TIMES.items()}})
        for k, mean in means.items() for seed in range(seeds)
    ]  # fmt: skip


def judged(means, seeds=6, sd=0.01, n_max=10, **settings):
    design = Design(0.5, NLL, n_max=n_max, comparisons=len(means) - 1)
    return contrasts(runs(means, seeds, sd, **settings), design)


def answered(found, workers=1):
    (answer,) = answers(found, lambda seeds: f"train seed=range(0,{seeds})", workers)
    return answer


@pytest.mark.parametrize(
    ("means", "found", "said"),
    [
        ({1: 0.0, 5: 0.0, 25: 0.0}, 1, "K=1 is the smallest"),
        ({1: 2.0, 5: 0.1, 25: 0.0}, 5, "K=5 is the smallest"),
        ({1: 2.0, 5: 1.0, 25: 0.0}, 25, "K=25 is needed"),
        ({1: 2.0, 5: 0.5, 25: 0.0}, None, "no other K is shown"),
    ],
)
def test_the_smallest_that_is_not_worse_is_enough_or_the_largest_where_all_are_worse_by_the_margin(means, found, said):
    answer = answered(judged(means, sd=0.01))
    assert (answer.place, answer.enough, enough(answer.contrasts)) == ("B=100", found, found)
    assert said in answer.written("enough")


def test_nothing_is_enough_before_it_is_shown():
    assert answered(judged({1: 0.0, 5: 0.0, 25: 0.0}, seeds=2)).enough is None


def test_without_an_order_every_value_that_is_not_worse_is_named():
    base = runs({1: 0.0}, sd=0.0)
    other = [replace(run, settings={**run.settings, "noise": "iid"}, metrics={NLL: 100 + run.seed}) for run in base]
    base = [replace(run, settings={**run.settings, "noise": "sobol"}) for run in base]
    found = contrasts(base + other, Design(0.5, NLL, factor="noise", reference="iid"))
    assert "noise=sobol" in answered(found).written("enough")


def test_the_terminal_has_every_contrast_with_its_numbers_and_the_price():
    found = judged({1: 2.0, 5: 0.1, 25: 0.0})
    lines = render(ANSWER, answers=[answered(found)]).splitlines()
    for line, each in zip(lines[1:3], found, strict=True):
        low, high = each.judgement.telling
        assert f"= {each.judgement.pairs.mean:+.2f} ({low:.2f} to {high:.2f}; n=6 pairs" in line
        assert " - ".join(each.names) in line
        assert line.endswith(each.finding)
    assert "1.00 at K=1, 3.00 at K=5, 13.0 at K=25" in lines[3]
    assert len(lines) == 4


def test_where_runs_differ_by_more_than_the_factor_the_answer_says_so():
    settings = {"fork.epochs": 1, "epochs": 10}
    (found,) = contrasts(runs({1: 0.0, 5: 0.0}, **settings), Design(0.5, NLL, None, covarying=("epochs",)))
    assert found.place == "B=100, epochs set by K, forked after epoch 1"


def test_a_tuned_setting_is_named_with_its_chosen_value():
    (found,) = judged({1: 0.0, 5: 0.0})
    assert found.names == ["K=1", "K=5"]
    assert found.judged_by(tune="lr")._replace(tuned=(0.1, 0.2)).names == ["K=1 (lr=0.1)", "K=5 (lr=0.2)"]


def test_what_is_undecided_has_a_remedy_with_pairs_time_and_command():
    found = judged({1: 0.0, 25: 0.0}, sd=0.4)
    answer, more = answered(found, workers=2), found[0].judgement.pairs_needed
    assert answer.remedy == (
        found[0].judgement.provable_margin, found[0].judgement.pairs.sd, more, False, False,
        pytest.approx(more * (30 + 180) / 2), f"train seed=range(0,{6 + more})",
    )  # fmt: skip
    assert answer.remedy.command in answer.written("remedy")


def test_what_the_last_look_cannot_decide_takes_a_new_study():
    found = judged({1: 0.0, 25: 0.0}, seeds=10, sd=3.0)
    remedy = answered(found).remedy
    assert found[0].judgement.pairs_needed is None
    size = found[0].judgement.pairs_of_new_study
    assert (remedy.new_study, remedy.more, remedy.pairs) == (True, False, size)
    assert remedy.command == f"train seed=range(0,{size})"


def test_before_the_first_look_it_says_when_it_comes():
    answer = answered(judged({1: 0.0, 25: 0.0}, seeds=1, n_max=None))
    assert (answer.remedy.provable_margin, answer.remedy.pairs) == (None, 3)
    assert "4 pairs: train seed=range(0,4)" in answer.written("remedy")
    assert "fork.epochs=1" in answer.written("remedy")
    forked = answered(judged({1: 0.0, 25: 0.0}, seeds=1, n_max=None, **{"fork.epochs": 1}))
    assert "fork.epochs" not in forked.written("remedy")


def test_a_smaller_value_that_is_open_is_not_forgotten():
    mixed = runs({5: 0.0, 25: 0.0}) + runs({1: 0.0}, sd=3.0)
    answer = answered(contrasts(mixed, Design(0.5, NLL, comparisons=2)))
    assert answer.enough == 5
    assert answer.remedy.sd > 1


def test_a_diverged_run_is_named_as_what_stands_in_the_way():
    some = runs({1: 0.0, 25: 0.0})
    some[0] = Run(some[0].settings, schema.DIVERGED, {})
    answer = answered(contrasts(some, Design(0.5, NLL)))
    assert (answer.remedy, answer.blocked) == (None, answer.contrasts[0])
    assert "1 and 0 of the runs diverged" in answer.written("remedy")


def test_every_group_has_its_answer():
    both = runs({1: 0.0, 25: 0.0}) + runs({1: 0.0, 25: 0.0}, batch_size=30)
    found = answers(contrasts(both, Design(0.5, NLL, comparisons=2)), str)
    assert [each.place for each in found] == ["B=100", "B=30"]


@pytest.mark.parametrize(
    ("n_max", "seeds", "expected"),
    [
        (None, 12, "mc_samples=1,5 study.seeds=10 'seed=range(3,15)'"),
        (10, 10, "mc_samples=1,5 study.seeds=10"),
        (10, 25, "mc_samples=1,5 seed=13 study.seeds=25"),
    ],
)
def test_the_command_for_more_seeds(n_max, seeds, expected):
    """At any time, within a design, and beyond it, where only new seeds keep the errors what they are."""
    overrides = ["mc_samples=1,5", "seed=range(0,3)", "study.seeds=10", "hydra.mode=MULTIRUN"]
    assert command(overrides, Design(0.5, NLL, n_max), 3, seeds) == f"python -m src.train -m {expected}"
