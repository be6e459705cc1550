"""What the README says of the MLflow page, in the page that `make ui` serves."""

import os
import re
import shutil
import sys
from itertools import product
from statistics import fmean

import pytest

from src import ROOT, schema
from tests.browser.pages import becomes
from tests.cluster import free_port, healthy, serving
from tests.commands import BRIEF, Workplace

WIDTH = 2400
GRID = ("mc_samples=1,2", "seed=0,1")
NLL = schema.FINAL_TEST_NLL.key
CELLS = [f"K={mc_samples} B=100 seed={seed}" for mc_samples, seed in product((1, 2), (0, 1))]
# The table is AG Grid's, which puts the pinned columns of a row, and what has moved, anywhere in the document.
TABLE = """() => {
    const place = name => element => Number(element.getAttribute(name));
    const column = place("aria-colindex"), row = place("aria-rowindex");
    const heads = Object.fromEntries(
        [...document.querySelectorAll(".ag-header-cell")].map(head => [column(head), head.innerText.trim()]));
    const rows = {};
    for (const part of document.querySelectorAll(".ag-row"))
        for (const cell of part.querySelectorAll("[role=gridcell]"))
            (rows[row(part)] ??= {})[heads[column(cell)]] =
                (cell.querySelector("a")?.innerText || cell.innerText).trim();
    return Object.keys(rows).map(Number).sort((a, b) => a - b).map(index => rows[index]);
}"""
CURVES = "() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(chart => chart.data.map(c => [c.name, c.y]))"


@pytest.fixture(scope="module")
def place(browser, tmp_path_factory):
    """A study of four cells."""
    place = Workplace(tmp_path_factory.mktemp("study"))
    done = place.train("-m", *GRID, *BRIEF)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def address(place):
    """The address that `make ui` prints, while it serves the study."""
    if shutil.which("make") is None:
        pytest.skip("make is missing")
    port = free_port()
    # The environment of these tests, as it is, on another port.
    command = ["make", "-o", "setup", "ui", f"VENV={sys.prefix}", f"PORT={port}"]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "MLFLOW_"))}
    environment = {**inherited, "MLFLOW_TRACKING_URI": f"sqlite:///{place.database}"}
    log = place.folder / "ui.log"
    with serving(command, log, healthy(f"http://127.0.0.1:{port}/health"), cwd=ROOT, env=environment):
        yield re.search(r"http://127\.0\.0\.1:\S+", log.read_text())[0]


@pytest.fixture
def page(visit, address):
    """The page as it is opened for the first time. It raises no error, and asks no other machine for anything."""
    with visit(WIDTH) as visited:
        visited.page.goto(address)
        yield visited.page
        assert visited.requests
        assert visited.page_errors == []
        assert visited.elsewhere() == []


@pytest.fixture(scope="module")
def run_ids(place):
    """By the names of the runs."""
    return dict(place.query("select name, run_uuid from runs"))


@pytest.fixture(scope="module")
def study(run_ids):
    """The name of the parent run, as shown: it may have been cut behind a space."""
    (study,) = run_ids.keys() - set(CELLS)
    return study.rstrip()


@pytest.fixture(scope="module")
def nlls(place, run_ids):
    """The score of every cell in the store, by its name."""
    return {name: place.history(run_ids[name])[NLL, 2] for name in CELLS}


def table(page):
    """The rows from top to bottom: by the names of the columns, what the cells show."""
    return page.evaluate(TABLE)


def column(page, name):
    return [row.get(name) for row in table(page)]


def choose(page, menu, name):
    """Open a menu above the table, search it, choose."""
    page.get_by_role("button", name=menu).and_(page.locator("[aria-haspopup]")).click()
    page.get_by_placeholder("Search", exact=True).fill(name)
    page.get_by_role("menuitemcheckbox", name=name, exact=True).click()
    page.keyboard.press("Escape")


def add_column(page, name):
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_placeholder("Search columns").fill(name)
    entries = page.get_by_test_id("column-selector-tree").locator("[class*=tree-title]")
    entries.filter(has_text=re.compile(f"^{re.escape(name)}$")).click()
    page.keyboard.press("Escape")


def unfold(page):
    page.locator(".ag-row button:has(svg)").first.click()


def test_a_study_is_one_run_whose_cells_the_arrow_unfolds(page, place, study):
    # As much of its overrides as a name may hold.
    assert " ".join(item for item in place.command(*GRID, *BRIEF) if item != "-m").startswith(study)
    becomes(lambda: column(page, "Run Name"), [study])
    unfold(page)
    becomes(lambda: sorted(column(page, "Run Name")), sorted([study, *CELLS]))
    assert column(page, "Run Name")[0] == study


def test_metrics_and_parameters_are_columns_once_they_are_chosen(page, study, nlls):
    becomes(lambda: len(table(page)), 1)
    unfold(page)
    for name in (NLL, "mc_samples"):
        assert name not in table(page)[0]
        add_column(page, name)
    groups = page.locator(".ag-header-group-cell")
    becomes(lambda: [text for text in groups.all_inner_texts() if text], ["Metrics", "Parameters"])
    shown = {row["Run Name"]: (row.get(NLL), row.get("mc_samples")) for row in table(page)}
    assert shown.pop(study) == ("-", "-")
    assert {name: float(nll) for name, (nll, _) in shown.items()} == pytest.approx(nlls, rel=1e-12)
    assert {name: f"K={mc_samples}" for name, (_, mc_samples) in shown.items()} == {n: n.split()[0] for n in CELLS}


def test_sorting_by_a_metric_shows_it_and_puts_studies_last(page, study, nlls):
    choose(page, "Sort", NLL)
    falling = sorted(CELLS, key=nlls.get, reverse=True)
    becomes(lambda: column(page, "Run Name"), [*falling, study])
    page.get_by_role("button", name="Sort").and_(page.locator("[aria-haspopup]")).click()
    page.get_by_role("button", name="Sort ascending").click()
    page.keyboard.press("Escape")
    becomes(lambda: column(page, "Run Name"), [*reversed(falling), study])
    assert [float(value) for value in column(page, NLL)[:-1]] == pytest.approx(sorted(nlls.values()), rel=1e-12)


def test_grouping_by_a_parameter_gives_means_over_seeds(page, nlls):
    choose(page, "Sort", NLL)
    choose(page, "Group by", "mc_samples")
    average = " (average)"
    becomes(lambda: sum(average in (value or "") for value in column(page, NLL)), 3)
    means = {}
    for row in table(page):
        # The study itself, which has no parameter, is in a group of its own.
        if (group := re.search(r"Group: (\d)", row["Run Name"])) and row[NLL].endswith(average):
            means[int(group[1])] = float(row[NLL].removesuffix(average))
    expected = {k: fmean(nlls[f"K={k} B=100 seed={seed}"] for seed in (0, 1)) for k in (1, 2)}
    assert means == pytest.approx(expected, rel=1e-12)


def test_the_curve_draws_metrics_by_epoch(page, place, run_ids):
    becomes(lambda: len(table(page)), 1)
    unfold(page)
    page.locator("label:has(input[value=CHART])").click()
    page.get_by_placeholder("Search metric charts").fill(schema.TEST_NLL.key)
    drawn = set()
    for name in CELLS:
        history = place.history(run_ids[name])
        drawn.add((name, history[schema.TEST_NLL.key, 1], history[schema.TEST_NLL.key, 2]))
    becomes(lambda: drawn - {(name, *values) for name, values in page.evaluate(CURVES)}, set())


def test_from_the_front_page_it_is_three_clicks(page, study, address):
    page.goto(address.partition("#")[0])
    page.get_by_text("Model training", exact=True).click()
    page.get_by_role("link", name=schema.EXPERIMENT, exact=True).click()
    page.get_by_role("link", name="Runs", exact=True).click()
    becomes(lambda: column(page, "Run Name"), [study])
