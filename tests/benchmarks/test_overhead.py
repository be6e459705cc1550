"""Benchmarks of a run's overhead, of evaluation and of loading: the figures are those claimed. No time is asserted."""

import json

import pytest

from benchmarks import evaluation, loading, overhead, parts, statistics
from benchmarks.options import positives
from benchmarks.parts import Column, Span, Stretch
from benchmarks.report import markdown

PARTS_OF_A_FIRST_CELL = {
    *("start of Python", "import tensorflow", "import keras", "data", "model", "training"),
    *("compiled epoch, tracing", "compiled epoch, first call", "scores, tracing", "scores, first call"),
    *("probe, tracing", "probe, first call", "final quadrature, first call"),
    *("saving the model", "saving the history", "picture: latent", "picture: manifold", "waiting for the uploader"),
}


def span(name: str, start: float, end: float, thread: str = parts.MAIN, process: int = 1) -> Span:
    return Span(process, thread, name, start, end)


def traced_run() -> list[Span]:
    """A cell of 20 s with 2 s of imports before: two scores, the first traced for 1 s; two epochs; a final score."""
    epochs = [span("training", 8, 10), span("progress bar", 12, 12.5), span("training", 13, 15)]
    scores = [span("tracing", 5, 6), span("scores", 5, 7), span("scores", 10, 12), span("scores", 16.5, 18)]
    around = [span("tracing", 7.5, 7.75), span("probe", 15, 15.5), span("progress bar", 15.75, 16)]
    ends = [span("final metrics", 16, 18), span("Keras's fit", 7.5, 16), span("cell", 2, 22), span("import a", 0, 2)]
    return [*scores, *epochs, *around, *ends, span("store: sending", 9, 11, "uploader"), span("data", 3, 4, process=2)]


def test_the_parts_of_a_run_are_exclusive_and_add_up_to_its_wall_time():
    found = parts.column(traced_run(), Stretch(1, -1.0, 25.0))
    assert found.parts == {
        "import a": 2.0,
        "scores, first call": 1.0,
        "scores, tracing": 1.0,
        "Keras's fit": 1.0,
        "tracing": 0.25,
        "training": 4.0,
        "scores": 2.0,
        "progress bar": 0.75,
        "probe": 0.5,
        "final metrics": 0.5,
        "final scores": 1.5,
        "everything else": 11.5,
    }
    assert sum(found.parts.values()) == found.wall == 26.0
    assert found.beside == {"uploader: store: sending": 2.0}
    assert found.epoch["training"] == statistics.Spread(2.0, 2.0, 2.0)
    # From the first epoch's progress to the second's, without training and probe.
    assert found.epoch["around"] == statistics.Spread(1.0, 1.0, 1.0)


def test_a_stretch_has_only_what_lies_in_it():
    found = parts.column(traced_run(), Stretch(1, 12.75, 15.25))
    assert found.parts == {"training": 2.0, "everything else": 0.5}
    assert not found.epoch


def test_rows_are_in_the_order_of_time_and_what_is_small_is_added_up():
    one = Column(9.0, {"import a": 1.0, "import b": 0.05, "data": 2.0, "training": 3.0, "leaving": 2.95}, {}, {})
    two = Column(9.0, {"plan": 0.09, "data": 1.0, "waiting": 7.0, "everything else": 0.91}, {}, {})
    assert overhead.in_order([one, two])[:5] == ["plan", "import a", "import b", "data", "waiting"]
    lines = overhead.table({"one": one._replace(parts={**one.parts, "everything else": 0.0}), "two": two}).splitlines()
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:4]] for line in lines[2:]}
    assert rows["waiting"] == ["-", "7.00"]
    assert rows["other imports"] == ["0.05", "0.00"]
    assert rows["other parts, below 0.1 s each"] == ["0.00", "0.09"]
    assert rows["wall / training"] == ["3.00", "-"]


@pytest.mark.slow
def test_overhead_takes_a_real_run_a_grid_and_a_pool_apart(tmp_path, capsys):
    output = tmp_path / "overhead.json"
    small = ["data.train_size=250", "data.test_size=120", "evaluation.final_iw_samples=5"]
    options = ["--mc-samples", "2", "--epochs", "3", "--cache", "cold", "--output", str(output)]
    assert overhead.main([*options, *small]) == 0
    assert "peak RSS" in capsys.readouterr().out
    columns = json.loads(output.read_text())["runs"]["K=2"]["columns"]
    for each in columns.values():
        assert sum(each["parts"].values()) == pytest.approx(each["wall"])
        assert min(each["parts"].values()) > -1e-6
    assert columns["single run"]["parts"].keys() >= PARTS_OF_A_FIRST_CELL | {"composition", "leaving"}
    assert columns["worker's first cell"]["parts"].keys() >= PARTS_OF_A_FIRST_CELL
    for again in ("second cell", "worker's second cell"):
        names = columns[again]["parts"].keys()
        assert names >= {"training", "scores", "probe", "final quadrature", "picture: latent"}
        assert not any("first call" in name for name in names)
        assert "import tensorflow" not in names
    assert "waiting for the workers" in columns["the pool itself"]["parts"]
    assert "uploader: import mlflow" in columns["worker's first cell"]["beside"]


def test_a_run_that_fails_is_reported_with_its_words(tmp_path):
    with pytest.raises(RuntimeError, match="mc_samples must be a positive integer"):
        overhead.train(tmp_path, tmp_path / "cache", ["mc_samples=0"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "1"], "expected at least 2"),
        (["--cache", "hot"], "choose from"),
        (["--mc-samples", "x"], "positive"),
    ],
)
def test_a_wrong_option_is_one_message(options, message, capsys):
    with pytest.raises(SystemExit):
        overhead.main(options)
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_the_evaluation_counts_the_decoder_and_shares_turns(tmp_path, capsys):
    output = tmp_path / "evaluation.json"
    assert evaluation.main(["--draws", "2", "--rounds", "2", "--images", "50", "--output", str(output)]) == 0
    written = json.loads(output.read_text())
    assert written["multiply_adds"] == 50 * 2 * (2 * 256 + 256 * 784)
    assert {len(rates) for rates in written["rates"].values()} == {2}
    assert written["rates"].keys() == {evaluation.EVALUATION, evaluation.BEST, evaluation.SAME}
    assert "evaluation / this" in capsys.readouterr().out


def test_products_repeat_until_the_work_is_enough():
    calls = []
    work = evaluation.product([(2, 3, 5)], at_most=100.0)
    assert work.multiply_adds == 4 * 30
    rates = evaluation.take_turns({"a": work, "b": evaluation.Work(lambda: calls.append(1), 1.0)}, rounds=3)
    assert len(calls) == 3
    assert set(rates["a"]) == {0, 1, 2}


def test_tables_are_aligned_markdown():
    lines = markdown(["what", "K"], [["a", "1,000"], ["longer", "2"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split("|")[2].strip() == "K"
    assert lines[1].endswith(":|")
    assert lines[3].replace(" ", "") == "|longer|2|"


def test_lists_of_numbers_keep_their_order_and_lose_repeats():
    assert positives("25, 1,25,5") == [25, 1, 5]


def test_a_filled_store_is_read_from_a_file_and_from_its_report(tmp_path, capsys):
    small = ["--runs", "7", "--epochs", "2", "--metrics", "16", "--rounds", "1", "--places", "sqlite", "parquet"]
    loading.main([*small, "--output", str(tmp_path / "loading.json")])
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()[2:]] == ["sqlite", "parquet"]
    reads = json.loads((tmp_path / "loading.json").read_text())["reads"]
    assert all(read["seconds"] > 0 and read["peak"] > 10**7 for [read] in reads.values())
