"""Grids that decide by themselves: what they launch next, how often they err, and that a design stays what it was."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from scipy import stats

from src import schema
from src.config import Config, ConfigError, DataConfig, StudyConfig, identifying
from src.inference import Design, Verdict, contrasts, critical_values
from src.recording.cost import CALIBRATED, Cost
from src.sweep.compose import refusals, typed
from src.sweep.decision import as_run, design_of, needed, next_wave, price, record_design, seeds_of_study
from src.sweep.plan import Cell, Plan, Planned
from tests.commands import Workplace
from tests.statistics import Z

NLL = schema.FINAL_TEST_NLL.key
STUDY = StudyConfig(until="decided", margin=1.0, seeds=10)
COUNT = 1000


def grid(ks=(1, 5), seeds=10, study=STUDY, **settings):
    return [
        Cell((f"mc_samples={k}", f"seed={seed}"), Config(mc_samples=k, seed=seed, study=study, **settings),
             f"{k}-{seed}-{settings}")
        for seed in range(seeds) for k in ks
    ]  # fmt: skip


def plan_of(cells, workers=1, seconds=60.0):
    longest_first = sorted(cells, key=lambda cell: -cell.config.mc_samples)
    return Plan([Planned(cell, Cost(seconds, 1e9, CALIBRATED)) for cell in longest_first], [], workers, None)


def ledger(nll, status=schema.FINISHED, **metrics):
    return SimpleNamespace(status=status, tags={}, latest=lambda: {NLL: nll} | metrics)


def scored(score):
    return ledger(score) if isinstance(score, float) else score


def run_study(cells, score, workers=1, study=STUDY):
    """The waves of a study as the sweeper launches them; returns its contrasts and the cells of each wave."""
    plan, design = plan_of(cells, workers), design_of(study, cells)
    runs, done, waves = {cell.fingerprint: as_run(cell, None) for cell in cells}, [], []
    while wave := next_wave(plan, done, contrasts(list(runs.values()), design), math.inf):
        waves.append([item.cell for item in wave])
        done += waves[-1]
        runs |= {cell.fingerprint: as_run(cell, scored(score(cell))) for cell in waves[-1]}
    return contrasts(list(runs.values()), design), waves


def test_the_first_seeds_go_together_then_one_by_one_and_all_cells_of_a_seed():
    def score(cell):  # K = 1 and K = 5 differ by -2 and 2 in turn: never decided
        return 4.0 * (cell.config.seed % 2) - 2.0 if cell.config.mc_samples == 1 else 0.0

    (found,), waves = run_study(grid(), score)
    assert [len(wave) for wave in waves] == [8, 2, 2, 2, 2, 2, 2]
    assert [{cell.config.seed for cell in wave} for wave in waves] == [{0, 1, 2, 3}, *({s} for s in range(4, 10))]
    assert (found.judgement.pairs.n, found.undecided) == (10, True)
    _, waves = run_study(grid(), score, workers=6)
    # Of eight cells the last two would leave four workers without work.
    assert [len(wave) for wave in waves] == [10, 6, 4]


def test_a_decided_value_gets_no_more_seeds_the_reference_does():
    def score(cell):  # K = 1 is worse by 9, K = 5 varies
        return {1: 9.0, 5: 6.0 * (cell.config.seed % 2) - 3.0, 25: 0.0}[cell.config.mc_samples] + cell.config.seed / 1e3

    found, waves = run_study(grid((1, 5, 25)), score)
    assert [len(wave) for wave in waves] == [12, *[2] * 6]
    assert {cell.config.mc_samples for wave in waves[1:] for cell in wave} == {5, 25}
    assert [each.judgement.pairs.n for each in found] == [4, 10]


def test_later_waves_have_as_many_seeds_as_keep_the_workers_busy():
    cells = grid(seeds=7)
    design, done = design_of(STUDY, cells), [cell for cell in cells if cell.config.seed < 4]
    scores = {cell.fingerprint: scored(4.0 * (cell.config.seed % 2) - 2.0 if cell.config.mc_samples == 1 else 0.0)
              for cell in done}  # fmt: skip
    found = contrasts([as_run(cell, scores.get(cell.fingerprint)) for cell in cells], design)

    def count(workers, first, second):
        """Cells of the next wave, where a seed has two of so many seconds."""
        costs = {1: Cost(first, 1e9, CALIBRATED), 5: Cost(second, 1e9, CALIBRATED)}
        plan = plan_of(cells, workers)
        plan = plan._replace(launch=[Planned(each.cell, costs[each.cell.config.mc_samples]) for each in plan.launch])
        return len(next_wave(plan, done, found, math.inf))

    assert count(1, 10.0, 600.0) == 2
    assert count(2, 500.0, 600.0) == 2
    assert count(2, 200.0, 600.0) == 4  # of one seed, one of two workers would wait for 400 s of 600
    assert count(6, 600.0, 600.0) == 6
    assert count(40, 600.0, 600.0) == 6  # all that is left


TUNED = StudyConfig(until="decided", margin=1.0, seeds=10, tune="learning_rate")


def tuned_grid():
    return [
        cell._replace(config=replace(cell.config, learning_rate=rate), fingerprint=f"{cell.fingerprint}-{rate}")
        for cell in grid(study=TUNED, data=DataConfig(validation_size=5000))
        for rate in (1e-2, 1e-3, 1e-4)
    ]


def test_a_setting_is_tuned_in_the_first_seed_and_later_seeds_have_the_chosen_value():
    best = {1: 1e-3, 5: 1e-4}  # by the validation NLL; the test NLL is the least at 1e-2

    def score(cell):
        rate = cell.config.learning_rate
        validation = 0.0 if rate == best[cell.config.mc_samples] else 9.0
        return ledger(80.0 + cell.config.mc_samples / 5 - 60 * rate, **{schema.VALIDATION_NLL.key: validation})

    cells = tuned_grid()
    (found,), waves = run_study(cells, score, study=TUNED)
    assert [len(wave) for wave in waves] == [6, 6]
    assert {cell.config.seed for cell in waves[0]} == {0}
    assert {(cell.config.mc_samples, cell.config.learning_rate) for cell in waves[1]} == set(best.items())
    assert found.tuned == (1e-3, 1e-4)
    assert (found.judgement.pairs.n, found.undecided) == (4, False)
    assert found.names == ["K=1 (learning_rate=0.001)", "K=5 (learning_rate=0.0001)"]


def test_where_the_first_seed_has_no_score_the_next_one_is_tuned():
    cells = [cell for cell in tuned_grid() if cell.config.seed < 5]
    _, waves = run_study(cells, lambda cell: ledger(math.nan, schema.FAILED), study=TUNED)
    assert [len(wave) for wave in waves] == [6] * 5


def test_the_price_of_tuning_is_that_of_the_first_seed():
    cells = tuned_grid()
    design = design_of(TUNED, cells)
    text = price(plan_of(cells), design, contrasts([as_run(cell, None) for cell in cells], design))
    assert "10 seeds of 2m00s each, and 4m00s more for the first, which has all of learning_rate" in text
    assert "first verdicts after 4 seeds, 12m00s" in text


def test_a_budget_takes_whole_seeds_and_refuses_what_has_no_room_for_one():
    cells = grid()
    plan, found = plan_of(cells), contrasts([as_run(cell, None) for cell in cells], design_of(STUDY, cells))
    assert len(next_wave(plan, [], found, 250.0)) == 4
    with pytest.raises(ConfigError, match=r"study\.budget must have room for one seed"):
        next_wave(plan, [], found, 100.0)
    assert next_wave(plan, cells[:8], found, 100.0) == []


@pytest.fixture
def simulate(monkeypatch):
    """Simulated studies; the settings of their cells, which are the same for all, are listed once."""
    monkeypatch.setattr("src.sweep.decision.identifying", cache_by_id(identifying))
    return simulated


def cache_by_id(function):
    """The function with its results kept, and its arguments with them: an id is unique as long as its object lives."""
    known = {}

    def cached(value):
        if id(value) not in known:
            known[id(value)] = value, function(value)
        return known[id(value)][1]

    return cached


def simulated(rng, mean, sd=1.0):
    """Studies at margin 1, whose difference K=1 - K=5 has this mean and sd: verdicts and seeds of each."""
    cells, ended = grid(), []
    for _ in range(COUNT):
        d = rng.normal(mean, sd, size=10)
        (found,), _ = run_study(cells, lambda cell, d=d: d[cell.config.seed] * (cell.config.mc_samples == 1))
        ended.append(found)
    return [set(each.judgement.verdicts) for each in ended], np.array([each.judgement.pairs.n for each in ended])


def rate(verdicts, *wanted):
    return sum(bool(set(wanted) & each) for each in verdicts)


def at_most(level):
    """The largest count in COUNT studies that a rate of `level` explains."""
    return COUNT * level + Z * math.sqrt(COUNT * level * (1 - level))


def test_a_thousand_studies_err_no_more_often_than_they_may(simulate):
    rng = np.random.default_rng(20261124)
    verdicts, n = simulate(rng, 0.0)
    assert rate(verdicts, Verdict.BETTER) <= at_most(0.025)
    assert rate(verdicts, Verdict.WORSE) <= at_most(0.025)
    assert rate(verdicts, Verdict.EQUIVALENT) > 0.5 * COUNT  # they do decide: 63 % by the table of the method
    assert 4 <= n.min() < n.mean() < 10
    verdicts, _ = simulate(rng, 1.0)
    assert rate(verdicts, Verdict.EQUIVALENT) <= at_most(0.05)
    assert rate(verdicts, Verdict.NOT_WORSE) <= at_most(0.05)
    assert rate(verdicts, Verdict.WORSE) > 0.5 * COUNT


def test_a_rule_that_looks_with_ordinary_t_intervals_is_rejected(monkeypatch, simulate):
    def naive(n_max, alpha, n0):
        return stats.t.isf(alpha, np.arange(n0, n_max + 1) - 1)

    monkeypatch.setattr("src.inference.design.critical_values", naive)
    verdicts, _ = simulate(np.random.default_rng(7), 0.0, sd=10.0)
    assert rate(verdicts, Verdict.BETTER, Verdict.WORSE) > at_most(0.05)


def test_the_price_names_seeds_minutes_and_spreads():
    cells = grid()
    design = design_of(STUDY, cells)
    text = price(plan_of(cells), design, contrasts([as_run(cell, None) for cell in cells], design))
    assert "1 comparison, at most 10 seeds of 2m00s each; first verdicts after 4 seeds, 8m00s" in text
    least = 2 / critical_values(10, 0.05)[0]
    assert f"4 up to {least:.2g}" in text


def test_the_plan_of_a_study_that_goes_on_has_the_cells_that_are_still_needed():
    """K = 1 is decided after four seeds; K = 5 is not, and needs the reference too."""
    cells = grid((1, 5, 25))
    scores = {1: lambda seed: 9.0 + seed / 1e3, 5: lambda seed: 6.0 * (seed % 2) - 3.0, 25: float}
    runs = [
        as_run(cell, ledger(scores[cell.config.mc_samples](cell.config.seed)) if cell.config.seed < 4 else None)
        for cell in cells
    ]
    design = design_of(STUDY, cells)
    found = contrasts(runs, design)
    plan = needed(plan_of([cell for cell in cells if cell.config.seed >= 4]), found)
    assert [(item.cell.config.mc_samples, item.cell.config.seed) for item in plan.launch] == [
        (k, seed) for k in (25, 5) for seed in range(4, 10)
    ]
    text = price(plan, design, found)
    assert "of 2m00s each\n" in text
    assert "first verdicts" not in text


def test_a_design_counts_its_comparisons_and_refuses_what_it_cannot_compare():
    assert design_of(STUDY, grid((1, 5, 25))).comparisons == 2
    assert design_of(STUDY, grid((1, 5)) + grid((1, 5), batch_size=30)).comparisons == 2
    assert design_of(StudyConfig(), grid()).n_max is None
    for study, message in (
        (StudyConfig(until="decided", reference="7"), r"study.reference must be a value of mc_samples .* Received"),
        (StudyConfig(until="decided", factor="objective"), r"study.reference must be a value of objective"),
    ):
        with pytest.raises(ConfigError, match=message):
            design_of(study, grid())
    design_of(StudyConfig(reference="7"), grid())  # compares nothing, and does not decide


def test_a_cross_entropy_is_not_compared_with_a_likelihood():
    study = StudyConfig(until="decided", factor="data.pixels", reference="dynamic")
    cells = [
        cell._replace(config=replace(cell.config, data=DataConfig(pixels=pixels)))
        for cell in grid((1,), study=study)
        for pixels in ("grayscale", "dynamic")
    ]
    with pytest.raises(ConfigError, match=r"study\.reference must be"):
        design_of(study, cells)
    static = [cell._replace(config=replace(cell.config, data=DataConfig(pixels="static"))) for cell in cells[::2]]
    assert design_of(study, static + cells[1::2]).comparisons == 1


WRONG_DESIGNS = [
    (["study.metric=final/test_nl"], "study.metric must be a metric that runs record"),
    (["study.metric=probe/encoder/var_mcc"], "study.metric must be a metric that runs record"),
    (["study.metric=validation/nll"], "study.metric must be another one without data.validation_size"),
    (["study.metric=probe/all/snr", "probe.epochs=[]"], "study.metric must be another one without probes"),
    (["study.metric=train/loss_variance_mc", "probe.epochs=[]"], "study.metric must be another one without probes"),
    (
        ["study.metric=final/test_nll_quadrature", "model.latent_dim=3"],
        "study.metric must be another one with this eval",
    ),
    (["study.metric=final/iw_ess"], "study.metric must be another one with this eval"),
    (["study.factor=sampler"], "study.factor must be a setting of a run"),
    (["study.factor=data.path"], "study.factor must be a setting of a run"),
    (["study.factor=seed"], "study.factor must be a setting of a run"),
    (["study.covarying=[epoch]"], "study.covarying must be settings of a run"),
    (["study.tune=rate", "data.validation_size=9"], "study.tune must be a setting of a run"),
    (["study.tune=mc_samples", "data.validation_size=9"], "study.tune must be a setting of a run"),
    (["study.tune=learning_rate"], "data.validation_size must be positive"),
]


@pytest.mark.parametrize(("overrides", "message"), WRONG_DESIGNS)
@pytest.mark.parametrize("until", ["decided", "null"])
def test_a_design_that_runs_cannot_answer_is_refused_whether_it_decides_or_not(overrides, message, until):
    (text,) = refusals(typed(OmegaConf.from_dotlist([f"study.until={until}", *overrides])))
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["-m", "mc_samples=1,5", "study.metric=final/test_nl"], "study.metric must be a metric that runs record"),
        (["study.metric=validation/nll"], "study.metric must be another one without data.validation_size"),
        (["-m", "mc_samples=1,5", "study.margin=0.1,0.5"], "study.margin must be one value"),
    ],
)
def test_the_real_command_starts_nothing_for_such_a_design(tmp_path, overrides, message):
    place = Workplace(tmp_path)
    refused = place.plan(*overrides)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert not place.runs_folder.exists()
    assert not place.database.exists()


def test_a_design_may_name_a_layer_and_what_does_not_vary():
    study = StudyConfig(metric="probe/hidden_0/scaled/var_mc", covarying=["epochs"])
    assert refusals(Config(study=study)) == []


def test_a_design_is_kept_and_a_changed_one_refused(tmp_path):
    cells = grid()
    design = design_of(STUDY, cells)
    assert [record_design(design, tmp_path, cells) for _ in range(2)] == [True, False]
    (file,) = tmp_path.glob("design-*.json")
    assert Design(**json.loads(file.read_text())) == design
    with pytest.raises(ConfigError, match=r"study.margin must be 1.0, as recorded .* Received: study.margin=0.5. Keep"):
        record_design(design_of(StudyConfig(until="decided", margin=0.5), cells), tmp_path, cells)
    with pytest.raises(ConfigError, match=r"study.seeds must be 10, as recorded"):
        record_design(design_of(StudyConfig(until="decided", margin=1.0, seeds=20), cells), tmp_path, cells)
    record_design(design_of(StudyConfig(until="decided", margin=0.5), grid((1, 9))), tmp_path, grid((1, 9)))


def test_a_design_that_an_earlier_version_has_recorded_is_read(tmp_path):
    """It lacks a key, which had the value that is now the default, and has one that is gone."""
    cells = grid((1, 5))
    design = design_of(StudyConfig(until="decided", margin=1.0), cells)
    record_design(design, tmp_path, cells)
    (file,) = tmp_path.glob("design-*.json")
    recorded = json.loads(file.read_text())
    del recorded["tune"]
    file.write_text(json.dumps({**recorded, "diverged": None}))
    assert record_design(design, tmp_path, cells) is False
    with pytest.raises(ConfigError, match=r"study.margin must be 1.0"):
        record_design(replace(design, margin=0.5), tmp_path, cells)


def test_seeds_are_the_studys_own():
    assert seeds_of_study([Config(seed=3, study=STUDY)] * 2) == "range(3,13)"
    with pytest.raises(ConfigError, match=r"seed must be one number .* Received: seed=0,1. Leave seed out"):
        seeds_of_study([Config(seed=0, study=STUDY), Config(seed=1, study=STUDY)])
