"""The command: pages and studies, from a copy of a few of the studies of this repository."""

import re
import shutil

import pandas as pd
import pytest

from analysis.publish.__main__ import BEGIN, END, main
from analysis.publish.answer import settings
from analysis.publish.sources import computed, studies
from analysis.publish.study import about, hours, pictures, shown
from analysis.report import Question, compute
from analysis.report.writing import write_tables
from analysis.store import ReportError
from src import ROOT, schema

KEPT = ROOT / "results" / "post_forked"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A checkout with one study and two pages, rendered."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(KEPT, folder / "results" / "post_forked")
    (folder / "docs" / "figures").mkdir(parents=True)
    (folder / "README.md").write_text(f"Before.\n{BEGIN}{END}After.\n")
    (folder / "docs" / "readme_answer.md.j2").write_text("{{ answer() }}\n")
    number = '{{ nats("post_forked/differences level=1 mean") }}'
    (folder / "docs" / "page.md.j2").write_text(f"First.\n{number}\n{{{{ answer() }}}}\n")
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
    page.unlink()
    assert main(["--check"], root) == 1
    assert f"{page}:1: " in capsys.readouterr().out
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
    [(["nope"], "must be a study of sweeps/: "), (["quick", "--store", "nowhere"], "store must be a folder")],
)
def test_what_cannot_be_rebuilt_is_refused(arguments, said, tmp_path, capsys):
    assert main([*arguments, "--results", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_study_is_rebuilt_from_its_own_tables(tmp_path):
    shutil.copytree(KEPT, tmp_path / "post_forked")
    for made in [*tmp_path.rglob("*.csv"), *tmp_path.rglob("*.png"), *tmp_path.rglob("README.md")]:
        made.unlink()
    own = tmp_path / "post_forked"
    assert main([own.name, "--store", str(KEPT), "--results", str(tmp_path)]) == 0
    found, kept = (sorted(file.relative_to(folder) for file in folder.rglob("*.*")) for folder in (own, KEPT))
    assert found == kept
    assert (own / "README.md").read_text() == (KEPT / "README.md").read_text()


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


@pytest.mark.slow
def test_the_pages_and_tables_of_this_repository_are_what_its_runs_give(tmp_path):
    assert main(["--check"]) == 0
    found = [bool(setting.ended[0].judgement.design.covarying) for setting in settings(ROOT / "results")]
    assert found == sorted(found)  # those at equal epochs come first
    for kept, findings in studies(ROOT / "results").items():
        own = tmp_path / kept.name
        own.mkdir()
        write_tables(own.joinpath, findings)
        names = [sorted(file.name for file in folder.glob("*.csv")) for folder in (own, kept)]
        assert names[0] == names[1]
        for name in names[0]:
            # Processors add in different orders, so the last bits of sums may differ.
            pd.testing.assert_frame_equal(pd.read_csv(own / name), pd.read_csv(kept / name), rtol=1e-9)


def test_a_study_without_its_text_is_refused(monkeypatch, tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "own.yaml").write_text("epochs: 1\n")
    monkeypatch.setattr("analysis.publish.study.ROOT", tmp_path)
    with pytest.raises(ReportError, match="must be question, design and limits"):
        about("own")
