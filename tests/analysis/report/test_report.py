"""The command itself: what it writes, what it says, what it refuses, and what it never imports."""

import json
import re
import shutil
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from analysis import decision
from analysis.report import Question, compute
from analysis.report.__main__ import main, parse
from src import schema
from src.writing import signed
from tests.commands import wait_until
from tests.stores import EXPERIMENT, GRAYSCALE, Store, curve, study

ROOT = Path(__file__).parents[3]
TABLES = ("summary", "stability")
OF_ALL, OF_SETTING = ("difference", "difference_path", "completeness"), ("price", "cost", "paths", "stability")


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "analysis.report", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


class Page(HTMLParser):
    """The addresses a page would fetch, its text, its ids, its figures' ids, and the cells of the cards."""

    def __init__(self, path: Path):
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.figures: list[str] = []
        self.cells: list[str] = []
        self.table = self.text = ""
        self.in_cell = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        own = dict(attrs).get("id") or ""
        self.ids += [own] if own else []
        self.figures += [own] if tag == "figure" else []
        self.table = own if tag == "table" else self.table
        self.in_cell = (self.in_cell and tag == "span") or (tag == "td" and self.table.startswith("card-"))
        self.cells += [""] if self.in_cell and tag == "td" else []
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = self.in_cell and tag != "td"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The report of the study, through the real command."""
    output = tmp_path_factory.mktemp("reports")
    done = command("--store", study().uri, "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    (output / "stdout").write_text(done.stdout)
    return output / EXPERIMENT


def one_setting(tmp_path: Path, **changes: object) -> Store:
    store = Store(tmp_path / "store")
    for k in (1, 5):
        store.record(k, 100, 0, **changes)
    return store


def test_every_file_is_written_and_named_at_the_end(folder):
    figures = [*OF_ALL, *(f"setting{n}_{stem}" for n in (1, 2) for stem in OF_SETTING), "setting2_made"]
    expected = {f"figures/{stem}.{suffix}" for stem in figures for suffix in ("png", "svg")}
    expected |= {f"{table}-{kind}.csv" for table in TABLES for kind in ("nll", "bce-pseudo-nll")}
    expected |= {"runs.parquet", "history.parquet", "differences.csv", "report.html", "report.md"}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == expected
    stdout = (folder.parent / "stdout").read_text()
    assert all(f"  {folder / name}" in stdout for name in expected)
    assert "BCE pseudo-NLL" in stdout


def test_a_report_rebuilt_from_its_files_gives_the_same_tables_and_files(folder, tmp_path):
    """It is named after the folder that was read, so that it does not replace that of the experiment."""
    read = shutil.copytree(folder, tmp_path / "copies" / "a study")
    assert main(["--store", str(read), "--output", str(tmp_path)]) == 0
    for name in [file.name for file in folder.iterdir() if file.suffix in (".csv", ".parquet")]:
        assert (tmp_path / "a-study" / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_report_of_two_places_is_that_of_their_runs(folder, tmp_path):
    """The same runs from the store and from files: nothing is counted twice."""
    done = command("--store", study().uri, folder, "--output", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("summary-nll.csv", "differences.csv", "stability-nll.csv"):
        assert (tmp_path / EXPERIMENT / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_pseudo_nll_and_an_nll_share_no_table(folder):
    for kind, name in ((schema.TRUE_NLL, "nll"), (schema.PSEUDO_NLL, "bce-pseudo-nll")):
        summary = pd.read_csv(folder / f"summary-{name}.csv")
        assert set(summary[schema.NLL_KIND]) == {kind}
        assert {"mc_samples", "batch_size", "data.pixels", "n_seeds", "n_missing", "final/test_nll_sd"} <= set(summary)


def test_the_page_is_one_file_that_asks_nobody(folder):
    page = Page(folder / "report.html")
    assert page.tags.count("img") == 3 + 2 * 4 + 1
    assert all(address.startswith("data:image/webp;base64,") for address in page.addresses)
    assert not {"link", "iframe", "object", "embed"} & set(page.tags)
    assert "default-src 'none'" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "report.html").stat().st_size < 2_000_000


def test_the_page_holds_the_answer_at_every_margin_of_the_slider(folder):
    found = compute(Question([study().uri], EXPERIMENT, []))
    margins = decision.margins(found.decision)
    text = (folder / "report.html").read_text(encoding="utf-8")
    told = json.loads(re.search(r'id="margins">(.*?)</script>', text)[1])
    assert [each["margin"] for each in told] == margins
    assert min(margins) == pytest.approx(0.025)
    assert max(margins) == pytest.approx(2.5)
    assert 0.25 in margins
    for each in told:
        cards = decision.cards(found.decision, found.runs, each["margin"])
        assert each["cards"] == [card.moving for card in cards]
    assert told[0]["cards"] != told[-1]["cards"]
    assert "How many" in Page(folder / "report.html").text


def test_the_markdown_names_figures_that_exist_and_has_the_answer(folder):
    text = (folder / "report.md").read_text(encoding="utf-8")
    named = re.findall(r"]\((figures/[^)]+)\)", text)
    assert len(named) == 2 + 2 * 4 + 1
    assert all((folder / name).is_file() for name in named)
    found = compute(Question([study().uri], EXPERIMENT, []))
    for card in decision.cards(found.decision, found.runs, 0.25):
        assert card.enough in text
        for each in card.answer.contrasts:
            assert f"| {each.names[0]} | {signed(each.judgement.pairs.mean)} | {each.judgement.telling} |" in text


def test_the_page_begins_with_the_cards_at_the_margin_of_the_study(folder):
    page = Page(folder / "report.html")
    found = compute(Question([study().uri], EXPERIMENT, []))
    cards = decision.cards(found.decision, found.runs, 0.25)
    rows = [page.cells[at : at + 7] for at in range(0, len(page.cells), 7)]
    contrasts = [each for card in cards for each in card.answer.contrasts]
    assert [row[0].strip() for row in rows if row[1] != "reference"] == [each.names[0] for each in contrasts]
    assert [row[4].strip() for row in rows if row[1] != "reference"] == [each.finding for each in contrasts]
    assert all(card.enough in page.text and card.remedy in page.text for card in cards)
    assert {"answer", "margin", "setting-1", "setting-2", "grid", "method"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    figures = [*OF_ALL[:2], *(f"setting{n}_{stem}" for n in (1, 2) for stem in OF_SETTING), "setting2_made", OF_ALL[2]]
    assert page.figures == figures


def test_a_diverged_run_decides_nothing_and_is_shown(tmp_path):
    store = Store(tmp_path / "store")
    for seed in range(5):
        lost = seed == 3
        store.record(1, 100, seed, schema.DIVERGED if lost else schema.FINISHED)
        store.record(5, 100, seed)
    done = command("--store", store.uri, "--output", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 and 0 of the runs diverged, which have no score" in done.stdout
    page = Page(tmp_path / EXPERIMENT / "report.html")
    assert "More seeds cannot decide: 1 and 0 of the runs diverged" in page.text
    assert "1 diverged" in page.text
    assert "1 of 5 (0.51 % to 72 %)" in page.text
    assert page.figures == ["difference", "difference_path", *OF_SETTING, "completeness"]


def test_one_value_of_k_is_no_comparison(tmp_path):
    store = Store(tmp_path / "store")
    store.record(5, 100, 0)
    assert main(["--store", store.uri, "--output", str(tmp_path)]) == 0
    assert "Nothing to compare" in Page(tmp_path / EXPERIMENT / "report.html").text
    assert not (tmp_path / EXPERIMENT / "figures" / "difference.png").exists()


def test_a_watched_report_follows_the_runs_until_it_is_interrupted(tmp_path):
    store = one_setting(tmp_path)
    report = tmp_path / EXPERIMENT / "report.html"
    arguments = ["--store", store.uri, "--output", tmp_path, "--watch", "0.2"]
    command = [sys.executable, "-W", "error", "-m", "analysis.report", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(report.is_file, process)
        new = store.record(25, 100, 0)
        wait_until(lambda: new in report.read_text(encoding="utf-8"), process)
        assert 'http-equiv="refresh"' in report.read_text(encoding="utf-8")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert 'http-equiv="refresh"' not in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["0", "-1", "inf", "soon"])
def test_a_time_to_wait_that_is_none_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        main(["--watch", text])
    assert f"must be a positive number. Received: {text}" in capsys.readouterr().err


def test_the_page_says_what_is_lacking_and_which_run_is_behind_what(folder):
    page = Page(folder / "report.html").text
    assert "How many Monte Carlo samples" in page
    assert "17 finished, 1 failed, 1 diverged, 1 killed, 1 running, 0 unknown" in page
    assert "repeat set aside: finished" in page
    assert "never started" in page
    assert "artifact: K=25." in page
    assert "probe_share, probe_components, made." in page  # of the grayscale setting
    assert "1 at K=25, B=30" in page
    assert "Path of the test NLL from epoch to epoch" in page
    assert "Path of the test BCE pseudo-NLL" in page
    assert "1 of 2 (1.3 % to 99 %)" in page  # K=25, B=30: one finished, one diverged
    assert "without compilation, tests and probes" in page
    for run_id in (*study().runs.values(), *study().grayscale.values(), study().repeat, study().failed_first):
        assert run_id in page


def test_the_same_store_gives_the_same_page(folder, tmp_path):
    assert main(["--store", study().uri, "--output", str(tmp_path)]) == 0
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert len(names) > 20
    for name in names:
        assert (tmp_path / EXPERIMENT / name).read_bytes() == (folder / name).read_bytes(), name


def test_one_seed_gets_no_interval_and_is_told_so(tmp_path):
    store = one_setting(tmp_path, params=GRAYSCALE)
    assert main(["--store", store.uri, "--output", str(tmp_path), "--name", "my report!"]) == 0
    folder = tmp_path / "my-report"
    summary = pd.read_csv(folder / "summary.csv")
    assert summary[["final/test_nll_sd", "final/test_nll_ci_low", "final/test_nll_ci_high"]].isna().all(axis=None)
    assert list(pd.read_csv(folder / "differences.csv")["verdicts"]) == ["undecided"]
    page = Page(folder / "report.html").text
    assert "undecided against K=5" in page
    assert "no interval yet" in page
    assert "final test BCE pseudo-NLL [nats/image]" in page
    assert "final test NLL" not in page


def test_a_report_of_a_sweep_is_named_after_it_and_replaces_its_older_figures(tmp_path):
    store = Store(tmp_path / "store")
    inside = store.record(1, 100, 0, parent=store.parent("grid"))
    outside = store.record(1, 100, 0, params=GRAYSCALE)
    figures = tmp_path / "grid" / "figures"
    figures.mkdir(parents=True)
    (figures / "setting7_cost.png").touch()
    assert main(["--store", store.uri, "--output", str(tmp_path), "--sweep", "grid"]) == 0
    assert not (figures / "setting7_cost.png").exists()
    assert (figures / "cost.png").exists()
    page = Page(tmp_path / "grid" / "report.html").text
    assert inside in page
    assert outside not in page


@pytest.mark.parametrize("status", [schema.FAILED, schema.DIVERGED])
def test_a_setting_without_a_finished_run_is_reported_as_such(tmp_path, status):
    store = one_setting(tmp_path, status=status, metrics={key: [] for key in curve(1, 100, 0)})
    assert main(["--store", store.uri, "--output", str(tmp_path)]) == 0
    page = Page(tmp_path / EXPERIMENT / "report.html")
    assert page.tags.count("img") <= 3  # what is about all runs
    assert "No run of this setting has finished" in page.text
    assert f"2 {status}" in page.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--store", "sqlite:///no/such.db"], "store must be a file of MLflow. Received: store=sqlite:///no/such.db"),
        (["--store", "{uri}", "--experiment", "typo"], "one of Default, vae-mc-samples. Received: experiment=typo"),
        (["--store", "{uri}", "--sweep", "typo"], "--sweep must be a sweep with runs"),
        (["--store", "{uri}", "--output", "/dev/null"], "--output must be a folder"),
    ],
)
def test_what_cannot_be_reported_is_one_message_and_exit_code_2(arguments, message, capsys):
    assert main([argument.format(uri=study().uri) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_the_command_refuses_a_damaged_store_without_a_traceback(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is not a database")
    done = command("--store", f"sqlite:///{tmp_path}/mlflow.db", "--output", tmp_path)
    assert done.returncode == 2
    assert "file is not a database" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_the_store_is_the_environments_or_mlflow_db_here(monkeypatch):
    assert parse([]).store == ["sqlite:///mlflow.db"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert parse([]).store == ["sqlite:///other.db"]


def test_importing_the_report_imports_no_tensorflow_keras_or_mlflow():
    check = "import sys, analysis.report.__main__; print(sorted({'tensorflow', 'keras', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
