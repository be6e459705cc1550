"""The command itself: what it writes, what it says, what it refuses, and what it never imports."""

import html
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
FIGURES = [*OF_ALL[:2], *(f"setting{n}_{stem}" for n in (1, 2) for stem in OF_SETTING), "setting2_made", OF_ALL[2]]


def command(*arguments: object) -> subprocess.Popen[str]:
    run = [sys.executable, "-W", "error", "-m", "analysis.report", *map(str, arguments)]
    return subprocess.Popen(run, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(*arguments: object) -> str:
    """What the command prints; it succeeds without a warning."""
    process = command(*arguments)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    return stdout


class Page(NamedTuple):
    """A page without its program: its text, ids, ids of figures, and the addresses that it would fetch."""

    text: str
    ids: list[str]
    figures: list[str]
    addresses: list[str]


def read(path: Path) -> Page:
    source = path.read_text(encoding="utf-8").partition("<script>")[0]
    found = (re.findall(rf" {name}=\"([^\"]*)\"", source) for name in ("id", "(?:src|href|srcset|data|action)"))
    ids, addresses = found
    figures = re.findall(r"<figure id=\"([^\"]*)\"", source)
    return Page(html.unescape(re.sub(r"<[^>]*>", "", source)), ids, figures, addresses)


def report(store: Store, output: Path, *options: str) -> Path:
    """The folder of a report, made in this process."""
    assert main(["--store", store.uri, "--output", str(output), "--name", "made", *options]) == 0
    return output / "made"


def one_setting(tmp_path: Path, **changes: object) -> Store:
    store = Store(tmp_path / "store")
    for k in (1, 5):
        store.record(k, 100, 0, **changes)
    return store


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The report of the study, through the real command."""
    output = tmp_path_factory.mktemp("reports")
    (output / "stdout").write_text(said("--store", study().uri, "--output", output))
    return output / EXPERIMENT


@pytest.fixture(scope="module")
def page(folder) -> Page:
    return read(folder / "report.html")


@pytest.fixture(scope="module")
def decided() -> tuple[decision.Decision, pd.DataFrame]:
    found = compute(Question([study().uri], EXPERIMENT, []))
    return found.decision, found.runs


def test_every_file_is_written_and_named_at_the_end(folder):
    expected = {f"figures/{stem}.{suffix}" for stem in FIGURES for suffix in ("png", "svg")}
    expected |= {f"{table}-{kind}.csv" for table in TABLES for kind in ("nll", "bce-pseudo-nll")}
    expected |= {"runs.parquet", "history.parquet", "differences.csv", "report.html", "report.md"}
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == expected
    stdout = (folder.parent / "stdout").read_text()
    assert all(f"  {folder / name}" in stdout for name in expected)
    assert "BCE pseudo-NLL" in stdout


def test_the_same_store_gives_the_same_files_and_so_do_its_own_tables(folder, tmp_path):
    """Of the store and the files together nothing is counted twice. A report of a folder has its name."""
    copy = shutil.copytree(folder, tmp_path / "copies" / "a study")
    both = tmp_path / "both"
    assert main(["--store", study().uri, "--output", str(tmp_path)]) == 0
    assert main(["--store", str(copy), "--output", str(tmp_path)]) == 0
    said("--store", study().uri, folder, "--output", both)
    names = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert len(names) > 20
    for name in names:
        assert (tmp_path / EXPERIMENT / name).read_bytes() == (folder / name).read_bytes(), name
        if name.endswith((".csv", ".parquet")):
            assert (tmp_path / "a-study" / name).read_bytes() == (folder / name).read_bytes(), name
        if name.endswith(".csv"):
            assert (both / EXPERIMENT / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_page_is_one_file_that_asks_nobody(folder, page):
    assert len(page.addresses) == len(FIGURES)
    assert all(address.startswith("data:image/webp;base64,") for address in page.addresses)
    source = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search("<(?:link|iframe|object|embed) ", source.partition("<script>")[0])
    assert "default-src 'none'" in source
    assert len(source.encode()) < 2_000_000


def test_the_page_holds_the_answer_at_every_margin_of_the_slider(folder, page, decided):
    text = (folder / "report.html").read_text(encoding="utf-8")
    told = json.loads(re.search(r'id="margins">(.*?)</script>', text)[1])
    margins = [each["margin"] for each in told]
    assert margins == decision.margins(decided[0])
    assert (min(margins), max(margins)) == (pytest.approx(0.025), pytest.approx(2.5))
    for each in told:
        assert each["cards"] == [card.moving for card in decision.cards(*decided, each["margin"])]
    assert told[0]["cards"] != told[-1]["cards"]


def test_page_and_markdown_have_the_cards_at_the_margin_of_the_study_and_all_figures(folder, page, decided):
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    for card in decision.cards(*decided, 0.25):
        assert card.enough in page.text
        assert card.remedy in page.text
        assert card.enough in markdown
        for each in card.answer.contrasts:
            assert each.finding in page.text
            assert f"| {each.names[0]} | {signed(each.judgement.pairs.mean)} | {each.judgement.telling} |" in markdown
    assert {"answer", "margin", "setting-1", "setting-2", "grid", "method"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.figures == FIGURES
    named = re.findall(r"]\((figures/[^)]+)\)", markdown)
    assert named == [f"figures/{stem}.png" for stem in FIGURES[:-1]]


def test_the_page_says_what_is_lacking_and_which_run_is_behind_what(page):
    for text in (
        "17 finished, 1 failed, 1 diverged, 1 killed, 1 running, 0 unknown",
        "repeat set aside: finished",
        "never started",
        "artifact: K=25.",
        "probe_share, probe_components, made.",  # of the grayscale setting
        "1 at K=25, B=30",
        "1 of 2 (1.3 % to 99 %)",  # K=25, B=30: one finished, one diverged
    ):
        assert text in page.text
    for run_id in (*study().runs.values(), *study().grayscale.values(), study().repeat, study().failed_first):
        assert run_id in page.text


def test_a_diverged_run_decides_nothing_and_is_shown(tmp_path):
    store = Store(tmp_path / "store")
    for seed in range(5):
        store.record(1, 100, seed, schema.DIVERGED if seed == 3 else schema.FINISHED)
        store.record(5, 100, seed)
    assert "1 and 0 of the runs diverged" in said("--store", store.uri, "--output", tmp_path)
    found = read(tmp_path / EXPERIMENT / "report.html")
    assert "More seeds cannot decide: 1 and 0 of the runs diverged" in found.text
    assert "1 of 5 (0.51 % to 72 %)" in found.text
    assert found.figures == ["difference", "difference_path", *OF_SETTING, "completeness"]


def test_one_value_of_k_is_no_comparison(tmp_path):
    store = Store(tmp_path / "store")
    store.record(5, 100, 0)
    folder = report(store, tmp_path)
    assert "Nothing to compare" in read(folder / "report.html").text
    assert not (folder / "figures" / "difference.png").exists()


def test_a_watched_report_follows_the_runs_until_it_is_interrupted(tmp_path):
    store = one_setting(tmp_path)
    file = tmp_path / EXPERIMENT / "report.html"
    process = command("--store", store.uri, "--output", tmp_path, "--watch", "0.2")
    try:
        wait_until(file.is_file, process)
        new = store.record(25, 100, 0)
        wait_until(lambda: new in file.read_text(encoding="utf-8"), process)
        assert 'http-equiv="refresh"' in file.read_text(encoding="utf-8")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=600)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert 'http-equiv="refresh"' not in file.read_text(encoding="utf-8")


def test_one_seed_gets_no_interval_and_is_told_so(tmp_path):
    store = one_setting(tmp_path, params=GRAYSCALE)
    folder = report(store, tmp_path, "--name", "my report!").with_name("my-report")
    summary = pd.read_csv(folder / "summary.csv")
    assert summary[["final/test_nll_sd", "final/test_nll_ci_low", "final/test_nll_ci_high"]].isna().all(axis=None)
    assert list(pd.read_csv(folder / "differences.csv")["verdicts"]) == ["undecided"]
    text = read(folder / "report.html").text
    assert "undecided against K=5" in text
    assert "final test BCE pseudo-NLL [nats/image]" in text
    assert "final test NLL" not in text


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
    text = read(tmp_path / "grid" / "report.html").text
    assert inside in text
    assert outside not in text


def test_a_pseudo_nll_and_an_nll_share_no_table(folder):
    for kind, name in ((schema.TRUE_NLL, "nll"), (schema.PSEUDO_NLL, "bce-pseudo-nll")):
        summary = pd.read_csv(folder / f"summary-{name}.csv")
        assert set(summary[schema.NLL_KIND]) == {kind}
        assert {"mc_samples", "batch_size", "data.pixels", "n_seeds", "n_missing", "final/test_nll_sd"} <= set(summary)


@pytest.mark.parametrize("status", [schema.FAILED, schema.DIVERGED])
def test_a_setting_without_a_finished_run_is_reported_as_such(tmp_path, status):
    store = one_setting(tmp_path, status=status, metrics={key: [] for key in curve(1, 100, 0)})
    found = read(report(store, tmp_path) / "report.html")
    assert set(found.figures) <= set(OF_ALL)
    assert "No run of this setting has finished" in found.text
    assert f"2 {status}" in found.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--store", "sqlite:///no/such.db"], "store must be a file of MLflow. Received: store=sqlite:///no/such.db"),
        (["--store", "{uri}", "--experiment", "typo"], "one of Default, vae-mc-samples. Received: experiment=typo"),
        (["--store", "{uri}", "--sweep", "typo"], "--sweep must be a sweep with runs"),
        (["--store", "{uri}", "--output", "/dev/null"], "--output must be a folder to write to"),
        (["--store", "sqlite:///{damaged}"], "file is not a database"),
        (["--watch", "0"], "must be a positive number. Received: 0"),
        (["--watch", "soon"], "must be a positive number. Received: soon"),
        (["--margin", "inf"], "must be a positive number. Received: inf"),
    ],
)
def test_what_cannot_be_reported_is_one_message_and_exit_code_2(arguments, message, tmp_path, capsys):
    damaged = tmp_path / "mlflow.db"
    damaged.write_text("this is not a database")
    try:
        code = main([argument.format(uri=study().uri, damaged=damaged) for argument in arguments])
    except SystemExit as refused:  # argparse says how the command is used before its message
        code = refused.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
    assert err.count("\n") == 1 or err.startswith("usage: ")


def test_the_store_is_the_environments_or_mlflow_db_here(monkeypatch):
    assert parse([]).store == ["sqlite:///mlflow.db"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert parse([]).store == ["sqlite:///other.db"]


def test_importing_the_report_imports_no_tensorflow_keras_or_mlflow():
    check = "import sys, analysis.report.__main__; print(sorted({'tensorflow', 'keras', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
