"""The answer over all studies: the pages of the repository have the table that results/ gives."""

import shutil

import pytest

from analysis.answer import BLOCK, PAGES, enough, main, rebuild, settings
from analysis.store import ReportError
from src import ROOT
from src.inference import Design, contrasts
from tests.inference.test_contrasts import cells

RESULTS = ROOT / "results"


@pytest.fixture
def copied(tmp_path):
    """The pages that have the table, elsewhere, and the studies beside them."""
    for page in PAGES:
        (tmp_path / page).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / page, tmp_path / page)
    (tmp_path / "docs" / "figures").mkdir()
    (tmp_path / "results").symlink_to(RESULTS)
    return tmp_path


def test_pages_and_figure_are_what_the_studies_give(copied):
    *pages, figure = rebuild(copied / "results", copied)
    for page, name in zip(pages, PAGES, strict=True):
        assert page.read_text() == (ROOT / name).read_text()
    assert figure.stat().st_size > 1000


def test_every_study_of_draws_has_a_row_with_a_link_to_its_page(copied):
    for page in rebuild(copied / "results", copied)[:-1]:
        rows = [line for line in BLOCK.search(page.read_text())[0].splitlines() if line.startswith("| [")]
        assert len(rows) == len(settings(RESULTS))
        for row in rows:
            link = row[row.index("(") + 1 : row.index(")")]
            assert (page.parent / link).is_file()


def test_settings_at_equal_epochs_come_first():
    found = [bool(setting.ended[0].judgement.design.covarying) for setting in settings(RESULTS)]
    assert found == sorted(found)
    assert set(found) == {False, True}


def test_a_page_without_a_place_for_the_table_is_refused(copied):
    (copied / "README.md").write_text("no place\n")
    with pytest.raises(ReportError, match=r"README.md has no place for the table. Expected"):
        rebuild(copied / "results", copied)


def test_without_studies_nothing_is_written(tmp_path, capsys):
    assert main(["--results", str(tmp_path)]) == 2
    assert f"Expected folders of `make results`. Received: {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scores", "said"),
    [({1: 0.0, 5: 0.0, 25: 0.0}, "K=1"), ({1: 9.0, 5: 0.0, 25: 0.0}, "K=5"), ({1: 9.0, 5: 9.0, 25: 0.0}, "K=25")],
)
def test_the_smallest_that_is_not_worse_is_enough_and_the_largest_where_all_are_worse_by_the_margin(scores, said):
    assert enough(contrasts(cells(scores), Design(0.5, "final/test_nll"))) == said


def test_nothing_is_said_of_the_margin_that_is_not_proven():
    """Neither of too few pairs nor of a value that is worse by an unknown amount."""
    for scores, seeds, margin in (({1: 0.0, 5: 0.0}, 2, 0.5), ({1: 0.5, 5: 0.0}, 6, 0.5)):
        assert enough(contrasts(cells(scores, seeds=seeds), Design(margin, "final/test_nll"))) == "none shown"
