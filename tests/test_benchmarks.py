"""Benchmarks: the contenders train the same thing, the figures are those claimed. No time is asserted."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import contenders, evaluation, loading, overhead, speed, statistics, trial
from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.options import positives
from benchmarks.overhead import Point
from benchmarks.report import markdown
from benchmarks.trial import Measurement, Trial, TrialFailed
from src import ROOT, schema

UNTRAINED = 784 * math.log(2)
TINY = ("--images", "200", "--batch-size", "50", "--mc-samples", "2", "--epochs", "1", "--rounds", "1")


def measurement(seconds: float, loss: float = 200.0) -> Measurement:
    return Measurement(100, 9.0, [seconds] * 3, [300.0, loss], 10**9, 0.0)


@pytest.fixture(scope="module")
def baseline() -> Measurement:
    return trial.measure(Trial(BASELINE, mc_samples=2, batch_size=50, images=200, epochs=1, seed=0))


@pytest.mark.parametrize("name", CONTENDERS)
def test_contenders_train_the_same_model_on_the_same_loss(name, baseline):
    if not CONTENDERS[name].installed():
        pytest.skip(f"{CONTENDERS[name].needs} is not installed")
    measured = trial.measure(Trial(name, mc_samples=2, batch_size=50, images=200, epochs=1, seed=0))
    first, second = measured.losses
    assert measured.images == 200
    assert len(measured.epoch_seconds) == 1
    assert math.isfinite(second)
    assert second < first < UNTRAINED
    # Four steps from other weights and draws: over seeds, the standard deviation of one such loss is 7 nats, of two 10.
    assert first == pytest.approx(baseline.losses[0], abs=40.0)


@pytest.mark.parametrize("name", ["nll", "nll_broadcast"])
def test_keras_minimises_what_this_project_does_at_equal_weights(name, digits):
    from benchmarks.contenders import keras_fit
    from src.config.settings import Config
    from src.vae.model import VAE
    from tests.vae.models import terms

    config = Config(mc_samples=400)
    vae = VAE.from_settings(config, 784)
    # Larger than at the start, so that the KL is some nats.
    vae.encoder.set_weights([2.0 * value for value in vae.encoder.get_weights()])
    x = digits.test[:20]
    found = terms(vae, x, np.random.default_rng(0).standard_normal((20, 400, 2), dtype=np.float32))
    log_likelihood, kl = np.asarray(found.log_likelihood, np.float64), float(np.mean(found.kl))

    model = keras_fit.build(config, 784)
    model.set_weights([*vae.encoder.get_weights(), *vae.decoder.get_weights()])
    model.compile(loss=getattr(keras_fit, name))
    y = np.tile(x[:, None], (1, 400 if name == "nll" else 1, 1))
    loss = model.evaluate(x, y, batch_size=10, verbose=0)
    error = np.sqrt(2 * log_likelihood.var(axis=1).sum() / 400) / 20
    assert loss == pytest.approx(kl - log_likelihood.mean(), abs=5 * error)
    # So the test can fail: for want of the KL, or of half of it.
    assert kl > 20 * error


def test_the_loss_reported_is_the_mean_over_images_where_the_last_batch_is_smaller():
    from benchmarks.contenders import project
    from src import data
    from src.config.settings import Config, DataConfig
    from src.vae.model import VAE
    from src.vae.training import EpochRecord, make_trainer, train

    config = Config(batch_size=60, epochs=1, data=DataConfig(train_size=100))
    dataset = data.load(config.data, config.seed)
    records: list[EpochRecord] = []
    train(make_trainer(VAE.from_settings(config, 784), dataset, config), config, records.append)
    losses: list[float] = []
    project.train(config, dataset, losses.append)
    one, other = records[0].steps["loss"]
    assert losses == [pytest.approx(0.6 * one + 0.4 * other)]


def test_written_out_and_broadcast_cross_entropy_is_that_of_keras():
    from benchmarks.contenders.keras_fit import nll, nll_broadcast

    rng = np.random.default_rng(0)
    x = rng.random((3, 1, 7), np.float32)
    logits = rng.normal(0.0, 20.0, (3, 4, 7)).astype(np.float32)
    tiled = np.tile(x, (1, 4, 1))
    np.testing.assert_allclose(nll_broadcast(x, logits), nll(tiled, logits), rtol=1e-5)


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
    uneven = Measurement(600, 9.0, [2.0, 3.0, 10.0], [1.0], 0, 0.0)
    assert uneven.seconds_per_epoch == 3.0
    assert uneven.images_per_second == 200.0


def test_every_round_runs_every_cell_once_in_a_rotated_order():
    cells = [("a", 1), ("b", 1), ("c", 1), ("a", 5), ("b", 5)]
    turns = list(speed.interleave(cells, 3))
    for number in range(3):
        assert sorted(cell for r, cell in turns if r == number) == sorted(cells)
    firsts = [next(cell for r, cell in turns if r == number and cell[1] == 1) for number in range(3)]
    assert firsts == [("a", 1), ("b", 1), ("c", 1)]
    # Neighbours in time at the same K, where ratios are taken.
    assert [cell[1] for r, cell in turns if r == 1] == [1, 1, 1, 5, 5]


def test_what_is_left_out_is_said_with_its_reason(monkeypatch):
    assert speed.obstacle(BASELINE, 25, 60_000, heavy=False) is None
    assert "4.7 GB; add --all" in str(speed.obstacle("post", 25, 60_000, heavy=False))
    monkeypatch.setattr(speed.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8e9}))
    assert "8.0 GB are free" in str(speed.obstacle("post", 25, 60_000, heavy=True))
    monkeypatch.setitem(contenders.CONTENDERS, "other", contenders.Contender("m:f", "", needs="no_such_package"))
    assert speed.obstacle("other", 1, 100, heavy=True) == "no_such_package is not installed"


def test_rows_pair_each_cell_with_the_baseline_of_its_round_and_k():
    measurements = {
        ("post", 5): {0: measurement(6.0), 1: measurement(90.0)},
        (BASELINE, 5): {0: measurement(2.0), 1: measurement(30.0)},
        ("post", 25): {0: measurement(7.0)},
    }
    rows = speed.summarize(measurements)
    assert [(row.contender, row.mc_samples) for row in rows] == [(BASELINE, 5), ("post", 5), ("post", 25)]
    assert rows[0].time_ratio == statistics.Spread(1.0, 1.0, 1.0)
    assert rows[1].time_ratio == statistics.Spread(3.0, 3.0, 3.0)
    assert rows[1].seconds_per_epoch == statistics.Spread(48.0, 6.0, 90.0)
    assert rows[2].time_ratio is None
    assert rows[0].show()[4] == "1.00 [1.00..1.00]"


def test_a_failed_cell_is_named_and_the_others_go_on(monkeypatch, tmp_path, capsys):
    def measure_apart(trial: Trial) -> Measurement:
        if trial.contender == "post":
            raise TrialFailed("post gave no measurement")
        return measurement(1.0)

    monkeypatch.setattr(speed, "measure_apart", measure_apart)
    output = tmp_path / "speed.json"
    assert speed.main([*TINY, "--rounds", "2", "--contenders", f"{BASELINE},post", "--output", str(output)]) == 1
    written = json.loads(output.read_text())
    assert written["failures"] == ["post gave no measurement"]
    assert [(m["contender"], m["round"]) for m in written["measurements"]] == [(BASELINE, 0), (BASELINE, 1)]
    assert capsys.readouterr().err.count("post gave no measurement") == 1


def test_a_process_that_fails_says_why():
    with pytest.raises(TrialFailed, match="no such at K=1 gave no measurement") as error:
        trial.measure_apart(Trial("no such", 1, 50, 200, 1, 0))
    assert "KeyError" in str(error.value)
    assert "exit code 1" in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "0"], "expected a positive integer. Received: 0"),
        (["--mc-samples", "1,x"], "expected a positive integer. Received: x"),
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
    for part in (BASELINE, "post", "peak RSS", "200 images, B=50"):
        assert part in done.stdout
    written = json.loads(output.read_text())
    assert {m["contender"] for m in written["measurements"]} == {BASELINE, "post"}
    for measured in written["measurements"]:
        assert measured["losses"][1] < measured["losses"][0]
        assert measured["peak_rss_bytes"] > 1e8
        assert all(seconds > 0 for seconds in measured["epoch_seconds"])
    assert {"cpu", "cores", "versions"} <= written["machine"].keys()
    assert "tensorflow" in " ".join(written["machine"]["versions"])


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
