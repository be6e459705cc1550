"""The report's decision: from the store's tables to contrasts, at the end and at equal amounts."""

import numpy as np
import pandas as pd
import pytest

from analysis.decision import answer_text, cards, decide, differences, margins, matched_table, scope, verdict_table
from analysis.decision.numbers import design_of
from analysis.statistics.amounts import AXES, EPOCHS, EVALUATIONS, SECONDS, UPDATES
from analysis.store import ReportError
from src import schema
from src.inference import Design, Verdict
from tests.analysis.marked import marked
from tests.stores import IMAGES, MACHINERY, Store, curve, final_nll

SEEDS = 6
STUDY = {"study.until": "decided", "study.margin": 2.0, "study.seeds": 8, "study.metric": "final/test_nll",
         "study.factor": "mc_samples", "study.covarying": [], "study.reference": "max", "study.tune": None}  # fmt: skip
KEYS = {schema.MACHINERY: ",".join([MACHINERY, *STUDY])}


def store(folder, ks=(1, 5, 25), params=None, **changes):
    made = Store(folder)
    parent = made.parent("mc_samples=1,5,25")
    for k in ks:
        for seed in range(SEEDS):
            made.record(k, 100, seed, params=params or {}, parent=parent, tags=KEYS, **changes)
    return marked(made)


def test_without_a_design_seeds_may_be_added_at_any_time(tmp_path):
    found = decide(*store(tmp_path), {})
    assert [(each.level, each.reference, each.judgement.pairs.n) for each in found.contrasts] == [
        (1, 25, 6),
        (5, 25, 6),
    ]
    d = [final_nll(1, 100, seed) - final_nll(25, 100, seed) for seed in range(SEEDS)]
    assert found.contrasts[0].judgement.pairs.mean == pytest.approx(np.mean(d))
    design = found.contrasts[0].judgement.design
    assert (design.n_max, design.comparisons, design.margin) == (None, 2, 0.25)
    assert Verdict.WORSE_BY_MARGIN in found.contrasts[0].judgement.verdicts


def test_the_design_is_that_of_the_latest_run_unless_given(tmp_path):
    runs, history = store(tmp_path, params=STUDY)
    design = decide(runs, history, {}).contrasts[0].judgement.design
    assert (design.n_max, design.margin, design.reference) == (8, 2.0, "max")
    assert decide(runs, history, {"margin": 0.5, "reference": "min"}).contrasts[0].reference == 1
    with pytest.raises(ReportError, match="margin=-1"):
        decide(runs, history, {"margin": -1.0})
    recorded = runs.assign(**{"design.margin": 0.75, "design.n_max": 6, "design.tune": None})
    assert design_of(recorded, {}) == Design(0.75, schema.FINAL_TEST_NLL.key, 6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "final/test_nl"}, "--metric must be one of .*final/test_nll"),
        ({"metric": "validation/nll"}, "--metric must be one of"),
        ({"reference": "7"}, "--reference must be a value of mc_samples .*: 1, 25, 5"),
    ],
)
def test_options_that_the_runs_cannot_answer_are_refused(tmp_path, given, message):
    with pytest.raises(ReportError, match=message):
        decide(*store(tmp_path, params={"objective": "elbo"}), given)


def test_two_studies_together_have_no_last_look(tmp_path):
    """Else the second one's last look would be at seeds of the first, which have been looked at before."""
    runs, history = store(tmp_path, params=STUDY)
    later = runs["seed"] >= SEEDS // 2
    runs.loc[later, "study.seeds"] = 12
    judged = decide(runs, history, {}).contrasts[0].judgement
    assert (judged.design.n_max, judged.pairs.n) == (None, SEEDS)


def test_paths_are_compared_at_equal_amounts(tmp_path):
    """Three epochs of 600 images: K = 5 decodes in one epoch more than K = 1 in all three."""
    runs, history = store(tmp_path, ks=(1, 5))
    found = decide(runs, history, {}).matched
    assert list(found) == list(AXES)
    nll = {k: curve(k, 100, 0)[schema.TEST_NLL.key] for k in (1, 5)}
    first = {axis: matched[0].pairs[0] if matched[0].pairs else None for axis, matched in found.items()}
    assert first[EPOCHS][1:3] == pytest.approx((nll[1][2], nll[5][2]))
    assert first[UPDATES][1:3] == pytest.approx((nll[1][2], nll[5][2]))
    assert first[EVALUATIONS] is None  # 3 x 600 evaluations against 3000 after the first epoch
    seconds = np.cumsum(curve(5, 100, 0)[schema.TRAIN_SECONDS.key])
    common = np.cumsum(curve(1, 100, 0)[schema.TRAIN_SECONDS.key])[-1]
    assert common < seconds[0]
    assert first[SECONDS] is None
    assert IMAGES * 3 < IMAGES * 5


def test_the_answer_and_the_tables_hold_what_was_found(tmp_path):
    runs, history = store(tmp_path, params=STUDY)
    found = decide(runs, history, {})
    [card] = cards(found, runs)
    assert (card.answer.place, card.answer.enough, card.answer.remedy) == ("B=100", 5, None)
    assert "K=5 is the smallest" in card.enough
    assert card.enough in answer_text(found, runs)
    table = verdict_table(found.contrasts, "The decision")
    assert "2 comparisons and up to 8 seeds" in table.caption
    assert [row[1] for row in table.rows] == ["K=1 − K=25", "K=5 − K=25"]
    assert [row[0] for row in matched_table(found.matched).rows][:2] == ["equal epochs", "equal epochs"]
    frame = differences(found.contrasts)
    assert list(frame["level"]) == [1, 5]
    assert list(frame["verdicts"].str.contains("equivalent")) == [False, True]
    assert pd.api.types.is_float_dtype(frame["low"])


def test_the_remedy_repeats_the_latest_grid_with_more_seeds(tmp_path):
    made = Store(tmp_path)
    parent = made.parent("mc_samples=1,5 seed=range(0,2)")
    for k in (1, 5):
        for seed in range(2):
            made.record(k, 100, seed, parent=parent)
    runs, history = marked(made)
    [card] = cards(decide(runs, history, {}), runs)
    assert card.answer.enough is None
    assert card.answer.remedy.command.startswith("python -m src.train -m mc_samples=1,5 'seed=range(0,")
    assert card.answer.remedy.command in card.remedy


def test_a_card_has_its_contrasts_at_the_end_and_at_equal_seconds(tmp_path):
    made = Store(tmp_path)
    for k, shift in ((1, 2.0), (25, 0.0)):
        for seed in range(SEEDS):
            path = [90 + shift + seed + 5 / epoch + 0.01 * (seed * k % 3) for epoch in (1, 2, 3)]
            taken = {schema.TRAIN_SECONDS.key: [1.0 * k] * 3, schema.TRAIN_IMAGES_PER_SECOND.key: [IMAGES / k] * 3}
            made.record(k, 100, seed, nll=path[-1], metrics={schema.TEST_NLL.key: path, **taken})
    runs, history = marked(made)
    [card] = cards(decide(runs, history, {}), runs, 0.25)
    [ended], [timed] = card.answer.contrasts, card.timed
    d = np.mean([2.0 + 0.01 * (seed % 3 - seed * 25 % 3) for seed in range(SEEDS)])
    assert ended.judgement.pairs.mean == pytest.approx(d)
    assert (ended.judgement.pairs.n, ended.epoch_seconds) == (SEEDS, (1.0, 25.0))
    # K = 1 ends after 3 s, and K = 25 has its first epoch after 25 s.
    assert (ended.known, timed.known) == (True, False)
    assert (card.answer.enough, card.remedy) == (25, "")
    assert card.moving["moves"] == [ended.finding]


def test_the_margins_of_the_slider_span_a_hundredfold_around_the_designs(tmp_path):
    found = margins(decide(*store(tmp_path, ks=(1, 5)), {"margin": 0.3}))
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0.03, 3.0)
    assert found[len(found) // 2] == 0.3
    assert margins(decide(*store(tmp_path / "one", ks=(1,)), {})) == []


@pytest.mark.parametrize(("fork", "holds"), [(None, "whole runs"), (1, "after the fork")])
def test_the_scope_says_where_runs_began(tmp_path, fork, holds):
    found = decide(*store(tmp_path, ks=(1, 5), params={"fork.epochs": fork} if fork else None), {})
    assert [each for each in ("whole runs", "after the fork") if each in scope(found)] == [holds]


def test_nothing_to_compare_is_no_error(tmp_path):
    runs, history = store(tmp_path, ks=(1,))
    found = decide(runs, history, {})
    assert found.contrasts == cards(found, runs) == []
    assert answer_text(found, runs) == ""
    assert verdict_table(found.contrasts, "The decision").rows == matched_table(found.matched).rows == []


def test_what_the_runs_do_not_have_is_refused(tmp_path):
    runs, history = store(tmp_path, ks=(1, 5))
    with pytest.raises(ReportError, match=r"must be settings of the runs: .*Received: .*=sampler"):
        decide(runs, history, {"factor": "sampler"})
    with pytest.raises(ReportError, match=r"--tune must be .* Received: --tune=learning_rate"):
        decide(runs, history, {"tune": "learning_rate"})
