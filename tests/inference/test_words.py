"""What the answer says in each case."""

import math
from dataclasses import replace

import numpy as np
import pytest

from src import schema
from src.inference import Design, Run, answer, command, contrasts, place, sides, table, versus
from src.writing import plural

NLL = schema.FINAL_TEST_NLL.key
TIMES = {schema.TRAIN_SECONDS.key: {1: 1.0, 5: 3.0, 25: 13.0}, schema.RUN_SECONDS.key: {1: 30.0, 5: 60.0, 25: 180.0}}


def runs(means, seeds=6, sd=0.01, **settings):
    """Runs at each K whose differences from the largest K have these means and this sd."""
    rng = np.random.default_rng(1)
    return [
        Run({"mc_samples": k, "batch_size": 100, **settings}, seed, schema.FINISHED,
            {NLL: 100 + seed + mean + rng.normal(scale=sd) * (k < 25), **{key: of[k] for key, of in TIMES.items()}})
        for k, mean in means.items() for seed in range(seeds)
    ]  # fmt: skip


def said(found, workers=1):
    return [
        line for each in answer(found, lambda seeds: f"train seed=range(0,{seeds})", workers) for line in each.lines
    ]


def judged(means, seeds=6, sd=0.01, n_max=10, **settings):
    design = Design(0.5, NLL, n_max=n_max, comparisons=len(means) - 1)
    return contrasts(runs(means, seeds, sd, **settings), design)


def test_the_smallest_that_is_not_worse_with_its_evidence_and_price():
    first, second = said(judged({1: 2.0, 5: 0.1, 25: 0.0}))
    assert first.startswith(
        "B=100: K=5 is the smallest that is not worse than K=25 by 0.5 nats/image. K=1 - K=25 = +2.0"
    )
    assert "n=6 pairs): worse by more than the margin; K=5 - K=25 = +0.1" in first
    assert first.endswith("worse.")
    assert second == "  seconds per epoch: 1 at K=1, 3 at K=5, 13 at K=25."


def test_a_noun_has_a_plural():
    assert [plural(n, "pair") for n in (0, 1, 2, 1000)] == ["0 pairs", "1 pair", "2 pairs", "1,000 pairs"]


def test_where_runs_differ_by_more_than_the_factor_the_answer_says_so():
    settings = {"fork.epochs": 1, "epochs": 10}
    (found,) = contrasts(runs({1: 0.0, 5: 0.0}, **settings), Design(0.5, NLL, None, covarying=("epochs",)))
    assert place(found, ["batch_size"]) == "B=100, epochs set by K, forked after epoch 1"


def test_a_tuned_setting_is_named_with_its_chosen_value():
    (found,) = judged({1: 0.0, 5: 0.0})
    chosen = found._replace(judgement=replace(found.judgement, design=replace(found.judgement.design, tune="lr")))
    assert sides(chosen._replace(tuned=(0.1, 0.2))) == ["K=1 (lr=0.1)", "K=5 (lr=0.2)"]
    assert versus(found) == "K=1 - K=5"


def test_none_is_within_the_margin():
    first, _ = said(judged({1: 2.0, 5: 1.0, 25: 0.0}))
    assert first.startswith("B=100: none is shown to be within 0.5 nats/image of K=25. ")


def test_undecided_names_pairs_minutes_and_the_command():
    found = judged({1: 0.0, 25: 0.0}, sd=0.4)
    assert found[0].open
    first, second = said(found, workers=2)
    more = found[0].judgement.pairs_needed
    minutes = more * (30 + 180) / 2 / 60
    assert "undecided against K=25 at a margin of 0.5 nats/image" in first
    assert f"About {plural(more, 'more pair')} at this spread" in second
    assert f", {minutes:.0f} minutes: train seed=range(0,{6 + more})" in second
    assert f"Shown so far: within {found[0].judgement.provable_margin:.2f}. " in second


def test_what_the_last_look_cannot_decide_says_what_a_new_study_takes():
    found = judged({1: 0.0, 25: 0.0}, seeds=10, sd=3.0)
    _, second = said(found)
    assert found[0].judgement.pairs_needed is None
    assert "A new study of about " in second
    assert " pairs at this spread (sd " in second
    assert "seconds per epoch: 1 at K=1, 13 at K=25" in second


def test_before_the_first_look_it_says_when_it_comes():
    _, second = said(judged({1: 0.0, 25: 0.0}, seeds=1, n_max=None))
    hint = " (forked, with fork.epochs=1, seeds differ less)"
    assert second.endswith(f"The first verdicts come at 4 pairs: train seed=range(0,4){hint}")
    _, forked = said(judged({1: 0.0, 25: 0.0}, seeds=1, n_max=None, **{"fork.epochs": 1}))
    assert forked.endswith("train seed=range(0,4)")


def test_a_smaller_value_that_is_open_is_not_forgotten():
    mixed = runs({5: 0.0, 25: 0.0}) + runs({1: 0.0}, sd=3.0)
    first, second = said(contrasts(mixed, Design(0.5, NLL, comparisons=2)))
    assert "K=5 is the smallest that is not worse" in first
    assert "undecided" in first
    assert " pairs at this spread" in second


def test_a_diverged_run_is_named_as_what_stands_in_the_way():
    some = runs({1: 0.0, 25: 0.0})
    some[0] = Run(some[0].settings, 0, schema.DIVERGED, {})
    _, second = said(contrasts(some, Design(0.5, NLL)))
    assert "More seeds cannot decide: 1 and 0 of the runs diverged, which have no score (exact p = 1)." in second


def test_groups_have_two_lines_each_and_a_fork_is_said():
    both = runs({1: 0.0, 25: 0.0}, **{"fork.epochs": 1}) + [
        Run({**run.settings, "batch_size": 30}, run.seed, run.status, run.metrics)
        for run in runs({1: 0.0, 25: 0.0}, **{"fork.epochs": 1})
    ]
    lines = said(contrasts(both, Design(0.5, NLL, comparisons=2)))
    assert [line[:32] for line in lines[::2]] == [
        "B=100, forked after epoch 1: K=1",
        "B=30, forked after epoch 1: K=1 ",
    ]


def test_the_table_has_a_row_per_contrast_and_names_its_level():
    heads, *rows = table(judged({1: 2.0, 5: 0.1, 25: 0.0}))
    assert heads[6] == "97.5 % interval"  # two comparisons
    assert [row[1] for row in rows] == ["K=1 - K=25", "K=5 - K=25"]
    assert rows[0][3] == pytest.approx("2.00", abs=0) or rows[0][3].startswith("2.0")
    assert math.isclose(float(rows[1][3]), 0.1, abs_tol=0.02)
    assert table([])[0][0] == "runs"


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
