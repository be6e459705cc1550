"""Benchmarks of a run's overhead, of evaluation and of loading: the figures are those claimed. No time is asserted."""

import json

import pytest

from benchmarks import evaluation, loading, overhead, statistics
from benchmarks.options import positives
from benchmarks.overhead import Point
from benchmarks.report import markdown
from src import schema


def recorded_run() -> list[Point]:
    """Three epochs of 2 s with 0.5 s around each and a probe of 1 s after the second; 4 s at the end; 20 s in all."""
    train, probe = schema.TRAIN_SECONDS.key, schema.PROBE_SECONDS.key
    return [
        Point(probe, 0, 3.0, 5_000),
        Point(train, 1, 2.0, 10_000),
        Point(train, 2, 2.0, 13_500),
        Point(probe, 2, 1.0, 13_500),
        Point(train, 3, 2.0, 16_000),
        Point(schema.RUN_SECONDS.key, 3, 20.0, 20_000),
        Point(schema.RUN_PEAK_RSS_BYTES.key, 3, 1e9, 20_000),
    ]


def test_the_parts_of_a_run_add_up_to_its_wall_time():
    parts = overhead.split(recorded_run(), wall=27.0)
    assert parts.wall == pytest.approx(27.0)
    assert (parts.start, parts.training, parts.around, parts.probes, parts.final) == (7.0, 6.0, 1.5, 4.0, 4.0)
    # 10 s until epoch 1 was logged, less its training, what lies around it and the probe before.
    assert parts.setup == pytest.approx(10.0 - 2.0 - 0.5 - 3.0)
    assert parts.per_epoch == statistics.Spread(0.5, 0.5, 0.5)
    assert "around / training" in overhead.table({1: parts})
    assert "25.0%" in overhead.table({1: parts})


def test_a_run_without_two_epochs_or_an_end_is_not_split():
    with pytest.raises(ValueError, match="two epochs"):
        overhead.split(recorded_run()[:2], wall=9.0)
    with pytest.raises(ValueError, match="run/seconds"):
        overhead.split(recorded_run()[:5], wall=9.0)


@pytest.mark.slow
def test_overhead_runs_the_command_line_and_reads_the_run_back(tmp_path, capsys):
    output = tmp_path / "overhead.json"
    small = ["data.train_size=250", "data.test_size=120", "evaluation.final_iw_samples=5"]
    assert overhead.main(["--mc-samples", "2", "--epochs", "3", "--output", str(output), *small]) == 0
    assert "peak RSS" in capsys.readouterr().out
    run = json.loads(output.read_text())["runs"]["K=2"]
    assert all(run[part] > 0 for part in ("start", "setup", "training", "around", "final"))


def test_a_run_that_fails_is_reported_with_its_words(tmp_path):
    with pytest.raises(RuntimeError, match="mc_samples must be a positive integer"):
        overhead.train(tmp_path, ["mc_samples=0"])


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
