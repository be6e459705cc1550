"""The numbers of the docs: what passes, what is stale, and what has no source."""

import shutil
import subprocess
import sys

import pytest

from analysis import store as stores
from analysis.check import agrees, corrected, main, marked, same
from src import ROOT
from tests.stores import EXPERIMENT, Store, final_nll, study

MEAN = "study/summary mc_samples=5 batch_size=100 final/test_nll_mean"
KS, SEEDS = (1, 5), range(4)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results with the study `study` (two K, four seeds) and one of two settings, `settings`."""
    folder = tmp_path_factory.mktemp("results")
    made = Store(tmp_path_factory.mktemp("store"))
    for k in KS:
        for seed in SEEDS:
            made.record(k, 100, seed)
    for name, each in (("study", made), ("settings", study())):
        (folder / name).mkdir()
        for table, file in zip(stores.read(each.uri, EXPERIMENT), ("runs", "history"), strict=True):
            table.to_parquet(folder / name / f"{file}.parquet")
    return folder


@pytest.fixture
def check(tmp_path, capsys, results):
    """Checks a text: the exit code, and what was printed."""

    def run(text):
        file = tmp_path / "page.md"
        file.write_text(text, encoding="utf-8")
        return main([str(file), "--results", str(results)]), capsys.readouterr().out

    return run


def mean(k=5):
    return sum(final_nll(k, 100, seed) for seed in SEEDS) / len(SEEDS)


def test_numbers_that_agree_pass_and_are_counted(check):
    lines = [
        f"The NLL is {mean():.2f}<!-- = {MEAN} --> (K=1: {mean(1):,.1f}<!-- = {MEAN.replace('5', '1', 1)} -->)",
        f"and the difference {mean(1) - mean():.1f}<!-- = study/differences",
        "level=1 mean -->. 12 is no marked number, nor is this <!-- a comment -->.",
    ]
    assert check("\n".join(lines)) == (0, "numbers checked: 3, in files: 1\n")


def test_another_comparison_of_the_same_runs_is_a_source(check):
    lines = f"{mean() - mean(1):.1f}<!-- = study:metric=final/test_nll,reference=min/differences level=5 mean -->"
    assert check(lines) == (0, "numbers checked: 1, in files: 1\n")
    code, out = check("1<!-- = study:margin=1/differences level=5 mean -->")
    assert code == 2
    assert "There is no option 'margin'. Expected for example: factor" in out


def test_an_epoch_of_a_run_is_a_source(check):
    """A path is 10 / epoch above the final NLL."""
    source = "study/history mc_samples=5 seed=2"
    end = final_nll(5, 100, 2)
    text = f"{end + 10:.2f}<!-- = {source} epoch=1 test/nll --> {end + 5:.2f}<!-- = {source} epoch=2 test/nll -->"
    assert check(text) == (0, "numbers checked: 2, in files: 1\n")
    code, out = check(f"0<!-- = {source.removesuffix(' seed=2')} epoch=2 test/nll -->")
    assert code == 2
    assert "4 rows match" in out


def test_a_difference_at_equal_amounts_is_a_source(check):
    """Both paths fall by 10 / epoch from one epoch to the next, so at equal epochs they differ as at the end."""
    assert check(f"{mean(1) - mean():.1f}<!-- = study/matched level=1 at=epochs mean -->")[0] == 0
    code, out = check("0<!-- = study/matched level=1 at=seconds mean -->")  # none is known at equal seconds
    assert code == 2
    assert "mean is no number. Received: nan." in out


def test_a_stale_number_is_listed_with_what_was_found(check):
    code, out = check(f"one\ntwo {mean() + 1:.2f}<!-- = {MEAN} -->\nthree {mean():.2f}<!-- = {MEAN} -->")
    assert code == 1
    assert f"page.md:2: written {mean() + 1:.2f}, found {mean():.6g}: {MEAN}" in out
    assert out.count("written") == 1
    assert "numbers checked: 2, in files: 1" in out


@pytest.mark.parametrize(
    ("number", "value", "right"),
    [
        ("0.05", 0.0549, True),
        ("0.05", 0.0551, False),
        ("0.05", 0.0451, True),
        ("0.05", 0.0449, False),
        ("2", 2.5, True),  # a tie rounds to either side
        ("3", 2.5, True),
        ("2", 2.501, False),
        ("0.30", 0.3, True),
        ("0.30", 0.306, False),
        ("1,130", 1130.4, True),
        ("1,130.0", 1130.4, False),
        ("-0.4", -0.44, True),
        ("−0.4", -0.44, True),
        ("0.4", -0.44, False),
        ("20 %", 0.2049, True),
        ("20%", 0.1949, False),
        ("0.2", 20.0, False),
        ("1.5 %", 0.0154, True),
        ("100,000", 1e5, True),
        ("1", float("nan"), False),
        ("1", float("inf"), False),
    ],
)
def test_the_written_decimals_are_compared(number, value, right):
    assert agrees(number, value) is right


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("is -0.44", "-0.44"),
        ("is −0.44", "−0.44"),
        ("is +0.44", "+0.44"),
        ("17-23", "23"),
        ("by 1,130.5", "1,130.5"),
        ("**3", "3"),
        ("20 %", "20 %"),
        ("| 7", "7"),
        ("20 per cent", ""),
        ("7 ", ""),
        ("", ""),
    ],
)
def test_a_source_belongs_to_the_number_directly_before_it(tmp_path, text, number):
    file = tmp_path / "page.md"
    file.write_text(f"5\n{text}<!-- =  a/b  c=1\nd -->", encoding="utf-8")
    (found,) = marked(file)
    assert (found.file, found.line, found.number, found.source) == (file, 2, number, "a/b c=1 d")
    assert found.end == 2 + len(text)


def test_filters_compare_numbers_as_numbers():
    assert same(5, "5")
    assert same(5.0, "5")
    assert same(0.001, "1e-3")
    assert same("adam", "adam")
    assert same(True, "True")
    assert not same(5, "25")
    assert not same("adam", "5")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("other/summary mc_samples=5 n", "There is no study 'other'. Expected for example: settings, study."),
        ("studi/summary mc_samples=5 n", "There is no study 'studi'. Expected for example: study"),
        ("study/sumary mc_samples=5 n", "There is no table 'sumary'. Expected for example: summary"),
        ("study/summary mc_sample=5 n", "There is no column 'mc_sample'. Expected for example: mc_samples"),
        ("study/summary mc_samples=5 final/tset_nll_mean", "Expected for example: final/test_nll_mean"),
        ("study/summary mc_samples=6 final/test_nll_mean", "No row has mc_samples=6. Expected one of: 1, 5."),
        ("study/summary final/test_nll_mean", "2 rows match. Expected one. Filter by: mc_samples"),
        ("settings/summary mc_samples=5 batch_size=100 n_seeds", "2 rows match. Expected one. Filter by: setting"),
        ("study/differences level=1 verdicts", "verdicts is no number. Received: "),
        ("study mc_samples=5 n", "Expected a number with STUDY/TABLE KEY=VALUE ... COLUMN directly behind it."),
        ("study/summary", "Expected a number with STUDY/TABLE"),
    ],
)
def test_a_source_that_says_nothing_or_several_things_is_an_error(check, source, said):
    code, out = check(f"one\n1<!-- = {source} --> and 7<!-- = {MEAN} -->")
    assert code == 2
    assert f"page.md:2: {source}: " in out
    assert said in out
    assert "written 7" in out  # the others are checked all the same


def test_stale_numbers_are_fixed_on_demand(results, tmp_path, capsys):
    file, wrong = tmp_path / "page.md", MEAN.replace("5", "6", 1)
    text = f"+{{}}<!-- = {MEAN} --> and {{}}<!-- = {MEAN} -->, {{}}<!-- = {MEAN} -->; 7<!-- = {wrong} -->"
    file.write_text(text.format("0.00", f"{mean():.1f}", "-1 %"), encoding="utf-8")
    assert main([str(file), "--fix", "--results", str(results)]) == 2
    assert "No row has mc_samples=6" in capsys.readouterr().out
    right = text.format(f"{mean():.2f}", f"{mean():.1f}", f"{100 * mean():,.0f} %")
    assert file.read_text(encoding="utf-8") == right
    file.write_text(right[: right.index(";")], encoding="utf-8")
    assert main([str(file), "--results", str(results)]) == 0


@pytest.mark.parametrize(
    ("number", "value", "text"),
    [("+0.28", -0.314, "−0.31"), ("-0.4", 0.51, "0.5"), ("0", 1130.4, "1,130"), ("0.0 %", 0.2046, "20.5 %")],
)
def test_a_fixed_number_keeps_its_form(number, value, text):
    assert corrected(number, value) == text
    assert agrees(text, value)


def test_a_source_without_a_number_is_an_error(check):
    code, out = check(f"about that <!-- = {MEAN} -->")
    assert code == 2
    assert "No number stands before it" in out


def test_files_that_are_no_runs_are_an_error(check, results, tmp_path):
    broken = results / "broken"
    shutil.copytree(results / "study", broken)
    (broken / "runs.parquet").write_text("no Parquet")
    code, out = check("1<!-- = broken/summary mc_samples=5 n_seeds -->")
    shutil.rmtree(broken)
    assert code == 2
    assert "store must be" in out


def test_settings_are_told_apart_by_what_varies(check):
    source = "settings/summary mc_samples=5 batch_size=100 data.pixels=grayscale n_finished"
    assert check(f"2<!-- = {source} -->")[0] == 0


def test_a_study_is_computed_once(check, monkeypatch):
    from analysis import report

    calls, compute = [], report.compute
    monkeypatch.setattr(report, "compute", lambda question: calls.append(question) or compute(question))
    assert check(f"{mean():.1f}<!-- = {MEAN} --> {mean():.2f}<!-- = {MEAN} -->")[0] == 0
    assert len(calls) == 1


def test_without_a_marked_number_it_says_so_and_passes_at_once(check):
    assert check("A page with 12 numbers.") == (0, "no number carries a source\n")
    code = "import sys, analysis.check as c; c.main(['CHANGELOG.md']); sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_missing_file_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["no.md"])
    assert "there is no file no.md" in capsys.readouterr().err


def test_the_numbers_of_this_repository_agree(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main([]) == 0
    assert "written" not in capsys.readouterr().out
