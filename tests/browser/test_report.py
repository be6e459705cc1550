"""The report as a reader sees it: in a wide window, on a phone, printed, and without JavaScript."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis import decision
from analysis.report import Question, compute, show, write
from src import schema
from tests.browser.pages import becomes, cut_off, pdf
from tests.stores import EXPERIMENT, Store, probe

WIDE, PHONE = 1400, 390
READY = "document.documentElement.dataset.ready === 'true'"
CHARTS = ("difference", "difference_path", "price", "cost", "paths", "stability", "probe_share", "probe_components",
          "completeness")  # fmt: skip
POINTS = "path[aria-roledescription=point]"


def noise(k: int, seed: int) -> dict[tuple[str, int], float]:
    """Probes and the Monte Carlo part of the loss's variance, of a run."""
    points = {(schema.TRAIN_LOSS_VARIANCE_MC.key, epoch): (0.5 + 0.1 * seed) / k for epoch in (1, 2, 3)}
    return points | probe(k, 100, seed, 1, 9.0) | probe(k, 100, seed, 3)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The findings and the page of two B, three K and five seeds, of which one run diverged."""
    folder = tmp_path_factory.mktemp("report")
    store = Store(folder / "store")
    grid = store.parent("mc_samples=1,5,25 batch_size=30,100 seed=range(0,5)")
    for b in (30, 100):
        for k in (1, 5, 25):
            for seed in range(5):
                lost = (k, b, seed) == (5, 30, 2)
                status = schema.DIVERGED if lost else schema.FINISHED
                store.record(k, b, seed, status, parent=grid, more=noise(k, seed))
    findings = compute(Question([store.uri], EXPERIMENT, [], design={"margin": 1.0}))
    write(show(findings), folder)
    return findings, folder / "report.html"


@pytest.fixture
def page(opened, built):
    """page(width, javascript=True): the report, drawn."""

    def drawn(width: int, javascript: bool = True):
        return opened(built[1], width, javascript)

    return drawn


def ready(visit):
    visit.page.wait_for_function(READY)
    return visit.page


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_every_figure_is_drawn_and_nothing_is_cut_off_or_asked_for(page, width):
    with page(width) as visit:
        found = ready(visit)
        for stem in CHARTS:
            figure = found.locator(f"figure#{stem}")
            assert "drawn" in figure.get_attribute("class").split(), stem
            assert figure.locator(".plot svg .mark-symbol, .plot svg .mark-rect").count() > 0, stem
            assert figure.locator(".plot").count() == figure.locator(".plot svg").count()
            assert not figure.locator("img.static").is_visible()
        assert cut_off(found) == []
        found.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert cut_off(found) == []
        assert (visit.console_errors, visit.page_errors, visit.requests) == ([], [], [])


def test_the_answer_is_on_the_first_screen(page):
    with page(WIDE) as visit:
        box = ready(visit).locator(".enough").first.bounding_box()
        assert box["y"] + box["height"] < 900


def test_single_seeds_and_means_are_points_and_hovering_names_the_run(page, built):
    contrasts = built[0].decision.contrasts
    with page(WIDE) as visit:
        figure = ready(visit).locator("figure#difference")
        seeds = sum(len(each.pairs) for each in contrasts) - 1  # the diverged run has no difference
        means = sum(1 for each in contrasts if pd.notna(each.judgement.pairs.mean))
        assert figure.locator(POINTS).count() == seeds + means
        figure.locator(POINTS).first.hover(force=True)
        tooltip = visit.page.locator("#vg-tooltip-element.visible")
        tooltip.wait_for()
        text = tooltip.inner_text()
        pair = next(pair for each in contrasts for pair in each.pairs if pair.runs[0] in text)
        assert f"seed\t{pair.seed}" in text or re.search(rf"seed\W+{pair.seed}\b", text)
        assert "python -m src.train" in text
        assert f"seed={pair.seed}" in text


def band_heights(page) -> float:
    """Pixels of the margin's band in the first panel."""
    box = page.locator("figure#difference .plot").first.locator(".mark-rect.role-mark path").first.bounding_box()
    return box["height"]


def test_the_slider_moves_the_verdicts_as_python_gives_them(page, built):
    findings = built[0]
    margins = decision.margins(findings.decision)
    with page(WIDE) as visit:
        found = ready(visit)
        heights = {}
        for place in (0, 9, margins.index(1.0), len(margins) - 1):
            found.locator("#margin").evaluate(
                "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }", place
            )
            expected = decision.cards(findings.decision, findings.runs, margins[place])
            assert found.locator(".margin output").inner_text() == f"{margins[place]:g}"
            assert found.locator(".enough").all_text_contents() == [card.enough for card in expected]
            assert found.locator(".remedy").all_text_contents() == [card.remedy for card in expected]
            moves = [text for card in expected for text in card.moving["moves"]]
            assert found.locator(".moves").all_text_contents() == moves
            found.evaluate("Promise.all(views.map((each) => each.view.runAsync())).then(() => null)")
            heights[margins[place]] = band_heights(found)
        said = [[card.enough for card in decision.cards(findings.decision, findings.runs, m)] for m in margins]
        assert said[0] != said[-1]
        assert heights[margins[9]] / heights[margins[0]] == pytest.approx(margins[9] / margins[0], rel=0.05)


def test_the_slider_answers_to_the_keyboard(page, built):
    margins = decision.margins(built[0].decision)
    with page(PHONE) as visit:
        found = ready(visit)
        found.locator("#margin").focus()
        found.keyboard.press("ArrowRight")
        becomes(lambda: found.locator(".margin output").inner_text(), f"{margins[margins.index(1.0) + 1]:g}")


def test_a_switch_changes_its_own_figure_and_back(page):
    def paths(stem: str) -> list[str]:
        return [each.get_attribute("d") for each in found.locator(f"figure#{stem} .mark-line path").all()]

    with page(WIDE) as visit:
        found = ready(visit)
        before, other = paths("paths"), paths("difference_path")
        choice = found.locator("figure#paths select")
        first = choice.input_value()
        choice.select_option("training time [s]")
        becomes(lambda: paths("paths") != before, True)
        assert paths("difference_path") == other
        choice.select_option(first)
        becomes(lambda: paths("paths"), before)


def test_tables_are_sorted_and_saved(page, tmp_path):
    with page(WIDE) as visit:
        found = ready(visit)
        found.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        table = found.locator("details table").first
        heads = table.locator("th").all_inner_texts()
        column = next(place for place, head in enumerate(heads) if "final test NLL" in head)

        def cells() -> list[float]:
            return [float(row.locator("td").nth(column).inner_text()) for row in table.locator("tbody tr").all()]

        table.locator("th").nth(column).click()
        assert cells() == sorted(cells())
        table.locator("th").nth(column).click()
        assert cells() == sorted(cells(), reverse=True)
        with found.expect_download() as saved:
            found.locator("details button.csv").first.click()
        file = tmp_path / "table.csv"
        saved.value.save_as(file)
        read = pd.read_csv(file, dtype=str, keep_default_na=False)
        assert len(read) == table.locator("tbody tr").count()
        assert read.iloc[0].tolist() == table.locator("tbody tr").first.locator("td").all_text_contents()


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_without_javascript_static_figures_take_over(page, width):
    with page(width, javascript=False) as visit:
        found = visit.page
        for stem in (*CHARTS,):
            image = found.locator(f"figure#{stem} img.static")
            assert image.is_visible(), stem
            assert image.evaluate("image => image.naturalWidth") > 100
            assert not found.locator(f"figure#{stem} .panels").is_visible()
        assert not found.locator(".margin").is_visible()
        found.locator("summary").first.click()
        assert found.locator("details[open] table").count() == 1
        assert cut_off(found) == []
        assert (visit.console_errors, visit.requests) == ([], [])


def test_printed_it_fits_the_paper(page):
    with page(WIDE) as visit:
        found = ready(visit)
        paper = pdf(found)
        assert paper.startswith(b"%PDF")
        found.set_viewport_size({"width": 718, "height": 1000})  # A4 within its margins
        found.emulate_media(media="print")
        assert cut_off(found) == []
        wide = "[...document.querySelectorAll('.plot svg')].filter((s) => s.getBoundingClientRect().right > 719).length"
        assert found.evaluate(wide) == 0


def test_the_page_forbids_itself_what_it_does_not_need(built: tuple[object, Path]):
    text = built[1].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'")
    scripts = re.search(r"script-src ([^;]+)", policy)[1].split()
    assert len(scripts) == 2
    assert all(source.startswith("'sha256-") for source in scripts)
