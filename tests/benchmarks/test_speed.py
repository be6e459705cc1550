"""The figures of `benchmarks.speed` are those claimed, and what fails or lacks is said. No time is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import contenders, figure, processes, roofline, speed, statistics, trial
from benchmarks.contenders import BASELINE, Contender
from benchmarks.contenders.arrays import layers
from benchmarks.summary import Cell, Results, ceilings, summarize, versions
from benchmarks.trial import Measurement, Trial, TrialFailed
from src import ROOT
from src.config import ModelConfig

TINY = ("--images", "200", "--batch-sizes", "50", "--mc-samples", "2", "--epochs", "1", "--rounds", "1")


def measurement(seconds: float, loss: float = 200.0) -> Measurement:
    return Measurement(100, 9.0, [seconds] * 3, [300.0, loss], 10**9, 0.0, {"numpy": "2.0"})


def results(measurements: dict[tuple[str, int, int], dict[int, Measurement]]) -> Results:
    rates = {number: {"NumPy": 1e9, "PyTorch": 2e9} for number in range(2)}
    return Results({Cell(*cell): rounds for cell, rounds in measurements.items()}, rates)


def test_ratios_are_taken_within_a_round_before_the_median():
    # The second round is slow for both; the ratio of medians would be 30 / 10.
    ratio = statistics.paired_ratio({0: 20.0, 1: 300.0, 2: 30.0}, {0: 10.0, 1: 100.0, 2: 10.0})
    assert ratio == statistics.Spread(3.0, 2.0, 3.0)
    ratio = statistics.paired_ratio({0: 2.0, 1: 40.0, 2: 3.0}, {0: 1.0, 1: 10.0, 2: 2.0})
    assert ratio == statistics.Spread(2.0, 1.5, 4.0)


def test_rounds_that_one_side_lacks_are_left_out_of_the_ratio():
    assert statistics.paired_ratio({0: 4.0, 1: 9.0}, {0: 2.0, 2: 1.0}) == statistics.Spread(2.0, 2.0, 2.0)
    assert statistics.paired_ratio({0: 4.0}, {1: 2.0}) is None
    with pytest.raises(ValueError, match="at least one value"):
        statistics.spread([])


def test_a_process_counts_by_its_median_epoch():
    uneven = Measurement(600, 9.0, [2.0, 3.0, 10.0], [1.0], 0, 0.0, {})
    assert uneven.seconds_per_epoch == 3.0
    assert uneven.images_per_second == 200.0


def test_every_round_runs_every_cell_once_in_a_rotated_order():
    cells = [
        Cell(*cell) for cell in (("a", 1, 30), ("b", 1, 30), ("c", 1, 30), ("a", 5, 30), ("b", 5, 30), ("a", 1, 9))
    ]
    turns = list(speed.interleave(cells, 3))
    for number in range(3):
        assert sorted(cell for r, cell in turns if r == number) == sorted(cells)
    firsts = [next(cell.contender for r, cell in turns if r == number and cell[1:] == (1, 30)) for number in range(3)]
    assert firsts == ["a", "b", "c"]
    # Neighbours in time at the same K and B, where ratios are taken.
    assert [cell[1:] for r, cell in turns if r == 1] == [(1, 9), *[(1, 30)] * 3, *[(5, 30)] * 2]


def test_what_is_left_out_is_said_with_its_reason(monkeypatch):
    assert speed.obstacle(BASELINE, 25, 60_000, heavy=False) is None
    assert "4.7 GB; add --all" in str(speed.obstacle("post", 25, 60_000, heavy=False))
    monkeypatch.setattr(speed.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8e9}))
    assert "8.0 GB are free" in str(speed.obstacle("post", 25, 60_000, heavy=True))


def test_a_contender_without_its_package_or_environment_is_left_out_with_the_reason(monkeypatch, capsys):
    monkeypatch.setitem(contenders.CONTENDERS, "one", Contender("m:f", "", needs="no_such_package"))
    monkeypatch.setitem(contenders.CONTENDERS, "two", Contender("m:f", "", needs="numpy", environment="elsewhere"))
    options = speed.parse(["--contenders", f"one,{BASELINE},two", "--mc-samples", "5", "--batch-sizes", "30,500"])
    assert speed.plan(options, 60_000) == [Cell(BASELINE, 5, 30), Cell(BASELINE, 5, 500)]
    assert capsys.readouterr().err.splitlines() == [
        "left out: one: no_such_package is not installed.",
        "left out: two: numpy is not installed in .venv-bench-elsewhere; `make bench` does it.",
    ]


def test_a_process_runs_in_the_environment_that_it_names(monkeypatch, tmp_path):
    assert processes.python(None) == Path(sys.executable)
    monkeypatch.setattr(processes, "ROOT", tmp_path)
    interpreter = tmp_path / ".venv-bench-other" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text('#!/bin/sh\necho noise\necho "[\\"$2\\", \\"$3\\", \\"$SPEED\\"]"\n')
    interpreter.chmod(0o755)
    assert processes.call("other", "some.module", "given", SPEED="high") == ["some.module", "given", "high"]
    assert processes.lacking("anything", "other") is None


@pytest.mark.parametrize("module", ["benchmarks.trial", "benchmarks.roofline"])
def test_what_runs_in_other_environments_needs_numpy_alone(module):
    # Packages that are imported, without what the interpreter itself imports at its start.
    code = (
        "import sys; before = set(sys.modules); import MODULE; "
        "files = [getattr(sys.modules[name], '__file__', None) or '' for name in set(sys.modules) - before]; "
        "print({file.partition('site-packages/')[2].partition('/')[0] for file in files} - {''})"
    )
    command = [sys.executable, "-c", code.replace("MODULE", module)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'numpy'}"


def test_operations_are_those_of_the_products_of_a_step():
    # By hand: 3-2-1 and back at K=2. First layer 2 products of 3 x 2, heads 3 of 2 x (2 x 1), then 2 draws of 3 each.
    small = ModelConfig(hidden_dims=[2], latent_dim=1)
    assert layers(small, 3) == [(3, 2), (2, 1), (2, 1), (1, 2), (2, 3)]
    assert roofline.operations(small, 3, mc_samples=2) == 2 * (2 * 6 + 3 * 4 + 2 * 3 * (2 + 6))
    # Millions of multiply-adds at K = 1 and 5.
    assert [roofline.operations(ModelConfig(), 784, k) / 2e6 for k in (1, 5)] == pytest.approx([1.008128, 3.422720])


def test_a_rate_is_that_of_the_fastest_turn_after_the_first(monkeypatch):
    seconds = [0.1, 4.0, 2.0, 3.0, 4.0, 5.0]
    marks = iter([mark for number, taken in enumerate(seconds) for mark in (10.0 * number, 10.0 * number + taken)])
    monkeypatch.setattr(roofline.time, "perf_counter", lambda: next(marks))
    calls: list[int] = []
    assert roofline.rate(lambda: calls.append(1)) == pytest.approx(roofline.PRODUCTS * 2 * 1000**3 / 2.0)
    assert len(calls) == roofline.PRODUCTS * len(seconds)


def test_rates_are_of_the_libraries_that_are_installed_and_give_one(monkeypatch):
    def call(environment: None, module: str, name: str, **variables: str) -> float:
        if variables == {"TF_ENABLE_ONEDNN_OPTS": "1"}:
            raise processes.ProcessFailed("Received: exit code -9.")
        return 1e9

    monkeypatch.setattr(processes, "lacking", lambda package, environment: "no" if environment else None)
    monkeypatch.setattr(processes, "call", call)
    said: list[str] = []
    assert roofline.rates(said.append) == {"NumPy": 1e9, "TensorFlow": 1e9}
    assert said == ["TensorFlow, oneDNN gave no rate of matrix products. Received: exit code -9."]


def test_rows_pair_each_cell_with_the_baseline_of_its_round_k_and_batch_size():
    rows = summarize(
        results(
            {
                ("post", 5, 30): {0: measurement(6.0), 1: measurement(90.0)},
                (BASELINE, 5, 30): {0: measurement(2.0), 1: measurement(30.0)},
                (BASELINE, 5, 100): {0: measurement(1.0)},
                ("post", 25, 30): {0: measurement(7.0)},
            }
        )
    )
    cells = [(BASELINE, 5, 30), ("post", 5, 30), (BASELINE, 5, 100), ("post", 25, 30)]
    assert [row.cell for row in rows] == cells
    assert rows[0].time_ratio == rows[2].time_ratio == statistics.Spread(1.0, 1.0, 1.0)
    assert rows[1].time_ratio == statistics.Spread(3.0, 3.0, 3.0)
    assert rows[1].seconds_per_epoch == statistics.Spread(48.0, 6.0, 90.0)
    assert rows[3].time_ratio is None
    assert rows[0].show()[5] == "1.00 [1.00..1.00]"


def test_the_share_of_the_roofline_is_against_the_fastest_library_of_the_round():
    measured = Results({Cell("post", 1, 30): {0: measurement(1.0), 1: measurement(1.0)}}, {0: {"A": 1e9}, 1: {}})
    measured.rates[1].update(A=1e9, B=4e9)
    # 100 images a second, 2 x 1,008,128 operations each.
    share = summarize(measured)[0].share
    assert (share.high, share.low) == pytest.approx((0.2016256, 0.0504064))
    assert ceilings(measured).endswith("A 1 [1..1]; B 4 [4..4].")


def test_results_are_read_back_from_what_was_written(tmp_path):
    written = results({("post", 5, 30): {0: measurement(6.0), 1: measurement(9.0)}})
    (tmp_path / "speed.json").write_text(json.dumps(written.to_json()))
    assert Results.read(tmp_path / "speed.json") == written
    (tmp_path / "more.json").write_text(json.dumps(results({("post", 5, 30): {0: measurement(3.0)}}).to_json()))
    both = Results.read(tmp_path / "speed.json", tmp_path / "more.json")
    read = both.measurements[Cell("post", 5, 30)]
    assert {number: each.seconds_per_epoch for number, each in read.items()} == {0: 6.0, 1: 9.0, 2: 3.0}
    assert len(both.rates) == 4
    assert versions(written) == "numpy 2.0"


def test_the_figure_shows_every_contender_beside_this_project(tmp_path):
    seconds = {BASELINE: 2.0, "post": 6.0, "jax": 1.0}
    measurements = {
        (name, k, size): {0: measurement(time), 1: measurement(1.5 * time if name == "post" else time)}
        for name, time in seconds.items()
        for k, size in ((1, 30), (1, 500), (25, 30))
    }
    drawn = figure.draw(summarize(results({**measurements, ("torch", 9, 30): {0: measurement(1.0)}})))
    assert [ax.get_title() for ax in drawn.axes] == ["K=1", "K=25"]
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["post", "jax"]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["B=30", "B=500"]
    points, _, (ranges,) = drawn.axes[0].containers[0]
    assert list(points.get_xdata()) == [3.75, 0.5]
    assert [sorted(x for x, _ in segment) for segment in ranges.get_segments()] == [[3.0, 4.5], [0.5, 0.5]]
    (tmp_path / "speed.json").write_text(json.dumps(results(measurements).to_json()))
    figure.main([str(tmp_path / "speed.json"), str(tmp_path / "speed.svg")])
    assert "time of an epoch / this project" in (tmp_path / "speed.svg").read_text()


def test_a_failed_cell_is_named_and_the_others_go_on(monkeypatch, tmp_path, capsys):
    def measure_apart(trial: Trial) -> Measurement:
        if trial.contender == "post":
            raise TrialFailed("post gave no measurement")
        return measurement(1.0)

    monkeypatch.setattr(speed, "measure_apart", measure_apart)
    monkeypatch.setattr(roofline, "rates", lambda say: {"NumPy": 1e9})
    output = tmp_path / "speed.json"
    assert speed.main([*TINY, "--rounds", "2", "--contenders", f"{BASELINE},post", "--output", str(output)]) == 1
    written = json.loads(output.read_text())
    assert written["failures"] == ["post gave no measurement"]
    assert [(m["contender"], m["round"]) for m in written["measurements"]] == [(BASELINE, 0), (BASELINE, 1)]
    assert capsys.readouterr().err.count("post gave no measurement") == 1


def test_a_process_that_fails_says_why():
    with pytest.raises(TrialFailed, match="this project at K=1, B=50 gave no measurement") as error:
        trial.measure_apart(Trial(BASELINE, 1, 50, "no such.npy", 1, 0))
    assert "FileNotFoundError" in str(error.value)
    assert "exit code 1" in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "expected a positive integer. Received: 0"),
        (["--mc-samples", "1,x"], "expected a positive integer. Received: x"),
        (["--batch-sizes", "30,-1"], "expected a positive integer. Received: -1"),
        (["--contenders", "post,pots"], "Received: pots"),
        (["--images", "50"], "batch_size must be at most the number of training images, 50"),
    ],
)
def test_wrong_options_are_refused(options, message, capsys):
    with pytest.raises(SystemExit) as left:
        speed.main(options)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_the_command_prints_a_table_and_writes_its_measurements(tmp_path):
    output = tmp_path / "speed.json"
    command = [sys.executable, "-m", "benchmarks.speed", *TINY, "--contenders", f"{BASELINE},post", "--output"]
    done = subprocess.run([*command, str(output)], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    for part in (BASELINE, "post", "peak RSS", "share of the roofline", "200 images", "NumPy"):
        assert part in done.stdout
    written = json.loads(output.read_text())
    assert {m["contender"] for m in written["measurements"]} == {BASELINE, "post"}
    for measured in written["measurements"]:
        assert measured["losses"][1] < measured["losses"][0]
        assert measured["peak_rss_bytes"] > 1e8
        assert all(seconds > 0 for seconds in measured["epoch_seconds"])
        assert {"keras", "numpy"} <= measured["versions"].keys()
    assert written["operations_per_second"][0].keys() >= {"NumPy", "TensorFlow", "TensorFlow, oneDNN"}
    assert {"cpu", "cores", "versions"} <= written["machine"].keys()
    assert "tensorflow" in " ".join(written["machine"]["versions"])
