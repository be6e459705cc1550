"""Plans of the named studies, and plans that are refused, by the real command."""

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from analysis.report import Question, compute
from analysis.report.runs import commands
from src import ROOT
from src.config import ConfigError
from src.sweep import plugins
from src.sweep.plugins import by
from tests.commands import Workplace

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


@pytest.mark.parametrize("name", STUDIES)
def test_a_named_study_states_its_question_and_cost_and_can_be_planned(tmp_path, name):
    about = OmegaConf.load(ROOT / "sweeps" / f"{name}.yaml").about
    assert about.question.endswith("?")
    assert f"{CELLS[name]} cells of" in about.design
    assert about.limits
    assert about.predicted
    given = "study.plan_only=true", "evaluation.final_images=null", *HERE.get(name, [])
    done = Workplace(tmp_path).plan(f"+sweep={name}", *given)
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
    done = Workplace(tmp_path).plan(*repeats.split(), *cell, *given)
    assert "1 cell: 1 to run" in done.stderr
    assert done.returncode == 0


def test_a_key_given_beside_a_study_takes_the_place_of_its_axis(tmp_path):
    done = Workplace(tmp_path).plan("+sweep=quick", "seed=7", "study.plan_only=true")
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
        (["+sweep=nope"], ["sweep=nope", "burda_gap, burda_k, conv, equal_time"]),
        (
            ["-m", "mc_samples=1,2", "epochs='${by:${mc_samples},{1:2}}'"],
            ["of: 1. Received: 2. Or give it: epochs="],
        ),
    ],
)
def test_wrong_plans_are_refused_with_the_remedy(tmp_path, overrides, parts):
    done = Workplace(tmp_path).plan(*overrides)
    assert done.returncode == 2
    for part in parts:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "studies").exists()
