"""Planning, skipping and running grids again, and the named studies, through the real command line."""

import re
import shutil

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from analysis.report import Question, compute
from analysis.report.runs import commands
from src import ROOT
from src.config import ConfigError
from src.sweep import plugins
from src.sweep.plugins import by
from tests.commands import BRIEF, CLOCKED, Workplace

STUDIES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.yaml"))
CELLS = {
    "quick": 9, "post_forked": 30, "batch_forked": 60, "post_grid": 45, "burda_k": 54, "kingma_welling": 48,
    "estimators": 72, "bounds": 72, "fashion": 18, "conv": 12, "burda": 18, "equal_time": 18, "burda_gap": 2,
}  # fmt: skip
# A plan needs the data: Fashion-MNIST is not in the repository, and a Workplace has 250 training images.
HERE = {
    "fashion": ["data=mnist"], "burda_k": ["data.validation_size=50"], "burda_gap": ["data.test_size=120"],
    "batch_forked": ["data.train_size=400"],
}  # fmt: skip


def numbers(place, run_id):
    """The history of a run, but for what a clock has measured."""
    return {key: value for key, value in place.history(run_id).items() if key[0] not in CLOCKED}


def cells(place):
    """{(mc_samples, seed): [run id, ...]} in the order of their start."""
    found = {}
    for run_id, _ in place.runs():
        params = place.pairs("params", run_id)
        if "mc_samples" in params:  # not the run of a grid
            found.setdefault((int(params["mc_samples"]), int(params["seed"])), []).append(run_id)
    return found


@pytest.mark.parametrize("name", STUDIES)
def test_a_named_study_states_its_question_and_cost_and_can_be_planned(tmp_path, name):
    about = OmegaConf.load(ROOT / "sweeps" / f"{name}.yaml").about
    assert about.question.endswith("?")
    assert f"{CELLS[name]} cells of" in about.design
    assert about.limits
    assert about.predicted
    given = "study.plan_only=true", "evaluation.final_images=null", *HERE.get(name, [])
    done = Workplace(tmp_path).train(f"+sweep={name}", *given)
    assert done.returncode == 0, done.stderr
    assert f"{CELLS[name]} cells: {CELLS[name]} to run" in done.stderr
    assert not (tmp_path / "runs" / "studies").exists()


@pytest.mark.parametrize("name", ["burda_k", "estimators", "kingma_welling"])
def test_the_command_that_a_report_gives_repeats_one_run(tmp_path, name):
    """Of a study that decides, and sweeps more than K and B."""
    found = compute(Question([str(ROOT / "results" / name)], name, []))
    run = found.runs.iloc[-1]
    repeats = commands(found.runs, found.varying)[run["run_id"]].removeprefix("python -m src.train ")
    cell = (f"{key}={run[key]}" for key in ("mc_samples", "batch_size", "seed"))
    given = "study.plan_only=true", "evaluation.final_images=null", *HERE.get(name, [])
    done = Workplace(tmp_path).train(*repeats.split(), *cell, *given)
    assert "1 cell: 1 to run" in done.stderr
    assert done.returncode == 0


def test_a_key_given_beside_a_study_takes_the_place_of_its_axis(tmp_path):
    done = Workplace(tmp_path).train("+sweep=quick", "seed=7", "study.plan_only=true")
    assert "3 cells: 3 to run" in done.stderr


BROKEN = {
    "aliases of aliases": b"a: &a [x,x]\nb: [*a,*a]\n",
    "no YAML": b"a: [b\n",
    "a list": b"- a\n- b\n",
    "no text": b"\xff\xfe\x00",
    "half an interpolation": b"mc_samples: ${nope\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_study_is_refused_where_it_is_named_and_read_nowhere_else(tmp_path, monkeypatch, kind):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "broken.yaml").write_bytes(BROKEN[kind])
    (tmp_path / "sweeps" / "sound.yaml").write_text("mc_samples: 5\nabout: text\n")
    monkeypatch.setattr(plugins, "ROOT", tmp_path)
    plugins.register(print, ["+sweep=sound", "mc_samples=1"])
    assert ConfigStore.instance().load("sweep/sound.yaml").node == {"mc_samples": 5}
    with pytest.raises(ConfigError, match=r"sweep must be a study .*broken\.yaml"):
        plugins.register(print, ["+sweep='broken'"])


def test_epochs_of_equal_decoder_evaluations():
    study = OmegaConf.load(ROOT / "sweeps" / "kingma_welling.yaml")
    OmegaConf.register_new_resolver("by", by, replace=True)
    budgets = {k: OmegaConf.merge(study, {"mc_samples": k}).epochs * k for k in (1, 5, 25)}
    assert set(budgets.values()) == {50}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """A grid of two K and two seeds, run by two workers with a thread each."""
    place = Workplace(tmp_path_factory.mktemp("grid"))
    command = ("-m", "mc_samples=1,3", "seed=0,1", *BRIEF, "hydra/launcher=pool", "hydra.launcher.workers=2")
    return place, command, place.train(*command)


def test_the_pool_finishes_every_cell_and_says_so_with_run_ids(grid):
    place, _, done = grid
    assert done.returncode == 0, done.stderr
    found = cells(place)
    assert {key: len(runs) for key, runs in found.items()} == {(1, 0): 1, (1, 1): 1, (3, 0): 1, (3, 1): 1}
    for (k, seed), (run_id,) in found.items():
        assert f"finished  mc_samples={k}  seed={seed}  run {run_id}" in done.stderr
        assert place.pairs("tags", run_id)["threads.intra_op"] == "1"
    assert "4 of 4 cells finished in" in done.stderr
    assert len({place.pairs("tags", run_id)["process.pid"] for (run_id,) in found.values()}) == 2


def test_a_worker_gives_the_numbers_of_a_sequential_run_with_as_many_threads(grid, tmp_path, monkeypatch):
    place, _, _ = grid
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    alone = Workplace(tmp_path)
    assert alone.train("mc_samples=3", "seed=1", *BRIEF).returncode == 0
    ((run_id, _),) = alone.runs()
    ((reference,),) = [cells(place)[3, 1]]
    assert numbers(alone, run_id) == numbers(place, reference)


def test_the_same_grid_again_runs_nothing(grid):
    place, command, _ = grid
    before = place.runs()
    done = place.train(*command)
    assert done.returncode == 0
    assert place.runs() == before
    assert "4 cells: 0 to run, 4 skipped (finished before)" in done.stderr


def test_a_lost_store_is_no_reason_to_run_again_but_lost_ledgers_are(grid, tmp_path):
    place, _, _ = grid
    again = Workplace(tmp_path)
    shutil.copytree(place.runs_folder, again.runs_folder)
    command = ("-m", "mc_samples=1,3,5", "seed=0,1", *BRIEF, "study.plan_only=true")
    assert "6 cells: 2 to run, 4 skipped (finished before)" in again.train(*command).stderr
    shutil.rmtree(again.runs_folder)
    shutil.copy(place.database, again.database)
    assert "6 cells: 6 to run" in again.train(*command).stderr


def test_a_larger_grid_runs_what_is_new_as_planned(grid):
    place, command, _ = grid
    before = dict(place.runs())
    plan = place.train(*command, "mc_samples=1,3,5", "seed=0", "study.plan_only=true")
    assert plan.returncode == 0
    assert "3 cells: 1 to run, 2 skipped" in plan.stderr
    assert re.search(r"mc_samples=5 +\d+s +\d\.\d GB +(earlier runs|calibration)", plan.stderr)
    assert dict(place.runs()) == before
    assert not list((place.runs_folder).glob("K5-*"))


def test_rerun_all_makes_new_runs_of_the_same_numbers(grid):
    place, _, _ = grid
    done = place.train("-m", "mc_samples=3", "seed=0", *BRIEF, "study.rerun=all", "hydra/launcher=pool")
    assert done.returncode == 0, done.stderr
    first, second = cells(place)[3, 0]
    assert numbers(place, first) == numbers(place, second)
    assert sorted(path.name for path in next(place.runs_folder.glob("K3-B100-seed0-*")).glob("[0-9]")) == ["1", "2"]


def test_a_budget_leaves_whole_seeds_out_and_says_so(grid):
    """Doubling a budget that one seed does not fit into comes to one that some of four seeds fit into, not all."""
    place, command, _ = grid
    for seconds in (2**power for power in range(12)):
        budget = f"study.budget={seconds}s"
        done = place.train(*command, "mc_samples=7,9", "seed=0,1,2,3", budget, "study.plan_only=true")
        if done.returncode == 0:
            break
        assert "must have room for one seed" in done.stderr
    kept, dropped = re.search(r"budget +\S+ keeps seeds ([\d, ]+); dropped: ([\d, ]+)", done.stderr).groups()
    assert f"{kept}, {dropped}" == "0, 1, 2, 3"
    assert f"{2 * len(kept.split(', '))} to run, {2 * len(dropped.split(', '))} dropped (by the budget)" in done.stderr


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["study.plan_only=true"], ["are for grids", "python -m src.train -m study.plan_only=true"]),
        (["-m", "study.budget=soon"], ["study.budget must be a duration such as 30m or null", "study.budget=soon"]),
        (["-m", "study.budget=1s"], ["study.budget must have room for one seed", "Received: 1 s", "Raise it"]),
        (["-m", "study.rerun=some"], ["study.rerun must be one of failed, all, none"]),
        (["-m", "checkpoint.every=0"], ["checkpoint.every must be a positive number of epochs or a duration"]),
        (["-m", "hydra/launcher=ray"], ["hydra/launcher must be", "requirements-cluster.lock"]),
        (["-m", "hydra/launcher=pol"], ["hydra/launcher=pol", "basic, pool"]),
        (["-m", "hydra/launcher=pool", "hydra.launcher.workers=0"], ["hydra.launcher.workers must be a positive"]),
        (["+sweep=nope"], ["sweep=nope", "bounds, burda, burda_gap, burda_k, conv, equal_time"]),
        (
            ["-m", "mc_samples=1,2", "epochs='${by:${mc_samples},{1:2}}'"],
            ["of: 1. Received: 2. Or give it: epochs="],
        ),
    ],
)
def test_wrong_plans_are_refused_with_the_remedy(tmp_path, overrides, parts):
    done = Workplace(tmp_path).train(*overrides)
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "studies").exists()
