"""The command: pages and studies, from a copy of a few of the studies of this repository."""

import re
import shutil

import pandas as pd
import pytest

from analysis.publish.__main__ import BEGIN, END, main
from analysis.publish.answer import settings
from analysis.publish.sources import computed
from analysis.publish.study import about, hours, pictures, shown
from analysis.report import Question, compute
from analysis.report.writing import write_tables
from analysis.store import ReportError
from src import ROOT, schema
from src.inference import Design, contrasts, enough
from tests.inference.test_contrasts import cells

STUDIES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.yaml"))
KEPT = ROOT / "results" / "post_forked"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A checkout with one study and two pages, rendered."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(KEPT, folder / "results" / "post_forked")
    (folder / "docs" / "figures").mkdir(parents=True)
    (folder / "README.md").write_text(f"Before.\n{BEGIN}{END}After.\n")
    (folder / "docs" / "readme_answer.md.j2").write_text("{{ answer() }}\n")
    (folder / "docs" / "page.md.j2").write_text(
        'First.\n{{ nats("post_forked/differences level=1 mean") }}\n{{ answer() }}\n'
    )
    assert main([], folder) == 0
    return folder


def test_pages_and_figure_are_rendered(root):
    difference = pd.read_csv(KEPT / "differences.csv").set_index("level")["mean"][1]
    page, readme = (root / "docs" / "page.md").read_text(), (root / "README.md").read_text()
    assert page.startswith(f"First.\n{difference:+.2f}\n| setting |")
    assert readme.startswith("Before.\n")
    assert readme.endswith("After.\n")
    for text, folder in ((page, root / "docs"), (readme, root)):
        (link,) = re.findall(r"\| \[post_forked\]\((.*?)\)", text)
        assert (folder / link).is_file()
        assert f"K=1 {difference:+.2f} (" in text
    assert (root / "docs" / "figures" / "answer.png").stat().st_size > 1000


def test_the_check_names_a_page_and_its_first_line_that_is_not_as_rendered(root, capsys):
    assert main(["--check"], root) == 0
    page = root / "docs" / "page.md"
    page.write_text(page.read_text().replace("First.\n+", "First.\n-"))
    assert main(["--check"], root) == 1
    assert f"{page}:2: " in capsys.readouterr().out
    assert main([], root) == 0


def test_a_readme_without_a_place_for_the_answer_is_refused(root, capsys):
    readme = root / "README.md"
    text = readme.read_text()
    readme.write_text("no place\n")
    assert main([], root) == 2
    assert "must be a page with the lines" in capsys.readouterr().err
    readme.write_text(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], f"must be a study of sweeps/: {STUDIES[0]}"),
        (["quick", "--store", "nowhere"], "store must be a folder"),
    ],
)
def test_what_cannot_be_rebuilt_is_refused(arguments, said, tmp_path, capsys):
    assert main([*arguments, "--results", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_study_is_rebuilt_from_its_own_tables(tmp_path):
    shutil.copytree(KEPT, tmp_path / "post_forked")
    for made in [*tmp_path.rglob("*.csv"), *tmp_path.rglob("*.png"), *tmp_path.rglob("README.md")]:
        made.unlink()
    assert main(["post_forked", "--store", str(KEPT), "--results", str(tmp_path)]) == 0
    own = tmp_path / "post_forked"
    found, kept = (sorted(file.relative_to(folder) for file in folder.rglob("*.*")) for folder in (own, KEPT))
    assert found == kept
    assert (own / "README.md").read_text() == (KEPT / "README.md").read_text()


@pytest.mark.parametrize("name", STUDIES)
def test_a_studys_file_says_what_its_page_needs(name):
    said = about(name)
    assert said.question.endswith("?")
    assert re.search(r"\d+ cells of \d+", said.design)
    assert said.limits.endswith(".")
    assert said.predicted


def test_the_time_of_a_study_is_that_of_its_attempts_not_what_lies_between_them():
    runs = computed(KEPT).runs
    interrupted = runs.assign(start_time=runs["start_time"] - pd.Timedelta(days=1))
    assert hours(interrupted) == hours(runs)
    assert hours(interrupted.assign(**{schema.RUN_SECONDS.key: float("nan")})) > 24


def test_a_page_has_figures_only_where_values_of_k_are_compared():
    store = str(ROOT / "results" / "burda_k")  # three learning rates, of which one is chosen
    stems = [each.stem for each in pictures(shown(computed(ROOT / "results" / "burda_k")))]
    assert stems == ["difference", "difference_path", "price", "stability", "probe_share"]
    other = {"factor": "learning_rate", "reference": "max", "tune": None}
    stems = [each.stem for each in pictures(shown(compute(Question([store], "burda_k", [], design=other))))]
    assert stems == ["difference", "difference_path"]


@pytest.mark.parametrize(
    ("scores", "said"),
    [({1: 0.0, 5: 0.0, 25: 0.0}, 1), ({1: 9.0, 5: 0.0, 25: 0.0}, 5), ({1: 9.0, 5: 9.0, 25: 0.0}, 25)],
)
def test_the_smallest_that_is_not_worse_is_enough_and_the_largest_where_all_are_worse_by_the_margin(scores, said):
    assert enough(contrasts(cells(scores), Design(0.5, "final/test_nll"))) == said


def test_nothing_is_said_of_the_margin_that_is_not_proven():
    """Neither of too few pairs nor of a value that is worse by an unknown amount."""
    for scores, seeds, margin in (({1: 0.0, 5: 0.0}, 2, 0.5), ({1: 0.5, 5: 0.0}, 6, 0.5)):
        assert enough(contrasts(cells(scores, seeds=seeds), Design(margin, "final/test_nll"))) is None


@pytest.mark.slow
def test_the_pages_and_tables_of_this_repository_are_what_its_runs_give(tmp_path):
    assert main(["--check"]) == 0
    found = [bool(setting.ended[0].judgement.design.covarying) for setting in settings(ROOT / "results")]
    assert found == sorted(found)  # those at equal epochs come first
    for folder in (file.parent for file in (ROOT / "results").glob("*/runs.parquet")):
        (tmp_path / folder.name).mkdir()
        write_tables((tmp_path / folder.name).joinpath, computed(folder))
        names = [sorted(file.name for file in place.glob("*.csv")) for place in (folder, tmp_path / folder.name)]
        assert names[0] == names[1]
        for name in names[0]:
            # Processors add in different orders, so the last bits of sums may differ.
            pd.testing.assert_frame_equal(
                pd.read_csv(tmp_path / folder.name / name), pd.read_csv(folder / name), rtol=1e-9
            )


def test_a_study_without_its_text_is_refused(monkeypatch, tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "own.yaml").write_text("epochs: 1\n")
    monkeypatch.setattr("analysis.publish.study.ROOT", tmp_path)
    with pytest.raises(ReportError, match="must be question, design and limits"):
        about("own")
