"""The folders of results/, which their tables give again, and the texts of the studies."""

import re
import shutil

import pandas as pd
import pytest

from analysis.report import Question, compute
from analysis.results import about, answering, made, main, rebuild
from analysis.store import ReportError
from src import ROOT, schema

STUDIES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.yaml"))
MADE = sorted(path.parent.name for path in (ROOT / "results").glob("*/runs.parquet"))


def test_the_time_of_a_study_is_that_of_its_attempts_not_what_lies_between_them():
    runs = compute(Question([str(ROOT / "results" / "post_forked")], "post_forked", [])).runs
    interrupted = runs.assign(start_time=runs["start_time"] - pd.Timedelta(days=1))
    unfinished = interrupted.assign(**{schema.RUN_SECONDS.key: float("nan")})
    (time,) = [line for line in made(runs) if "time of all runs" in line]
    assert time in made(interrupted)
    assert time not in made(unfinished)


@pytest.mark.parametrize("name", STUDIES)
def test_a_studys_file_says_what_its_page_needs(name):
    said = about(ROOT / "sweeps" / f"{name}.yaml")
    assert said.question.endswith("?")
    assert re.search(r"\d+ cells of \d+", said.design)
    assert said.limits.endswith(".")
    assert said.predicted


@pytest.mark.parametrize("name", MADE)
def test_a_study_is_rebuilt_from_its_own_tables(name, tmp_path):
    kept, own = ROOT / "results" / name, tmp_path / name
    own.mkdir()
    if (kept / "notes.md").is_file():
        shutil.copy(kept / "notes.md", own)
    rebuild(name, Question([str(kept)], name, []), tmp_path)
    pages, tables = ([file.name for file in sorted(kept.glob(pattern))] for pattern in ("*.md", "*.csv"))
    for page in pages:
        assert (own / page).read_text() == (kept / page).read_text()
    assert sorted(file.name for file in own.glob("*.csv")) == tables
    for table in tables:
        # Processors add in different orders, so the last bits of sums may differ.
        pd.testing.assert_frame_equal(pd.read_csv(own / table), pd.read_csv(kept / table), rtol=1e-9)
    figures = [sorted(file.name for file in folder.glob("figures/*")) for folder in (kept, own)]
    assert figures[0] == figures[1]


def test_a_page_has_the_figures_of_the_settings_in_which_k_is_compared():
    store = str(ROOT / "results" / "burda_k")  # three learning rates, of which one is chosen
    (found,) = answering(compute(Question([store], "burda_k", [])))
    assert set(found.runs["learning_rate"]) == {0.001}
    other = {"factor": "learning_rate", "reference": "max", "tune": None}
    assert answering(compute(Question([store], "burda_k", [], design=other))) == []


def test_a_study_without_its_text_is_refused_with_the_form(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("# Only a title\nepochs: 1\n")
    with pytest.raises(ReportError, match="must be the texts question, design"):
        about(file)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nope"], f"must be a study of sweeps/: {STUDIES[0]}"), (["quick", "--store", "nowhere"], "no runs in")],
)
def test_what_cannot_be_rebuilt_is_refused(arguments, said, tmp_path, capsys):
    assert main([*arguments, "--results", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
