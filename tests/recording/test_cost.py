"""What a cell will take: from repeats, from other settings, from the machine's speed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from src.sweep.past import Past, latest
from src.sweep.predict import CALIBRATED, OVERHEAD_SECONDS, REPEATED, SCALED

from src import schema
from src.config.settings import Config, DataConfig, EvaluationConfig, ModelConfig
from src.sweep import predict
from tests.idx_files import write_folder

HOST, THREADS = "here", "1"
RATE = 1e11
SECONDS, PEAK = schema.RUN_SECONDS.key, schema.RUN_PEAK_RSS_BYTES.key


def past(
    config: Config,
    seconds: float,
    peak: float = 1.5e9,
    status: str = schema.FINISHED,
    host: str = HOST,
    threads: str = THREADS,
) -> Past:
    """An earlier run of these settings."""
    tags = {schema.HOST: host, predict.THREADS: threads}
    metrics = {SECONDS: seconds, PEAK: peak}
    return Past("0" * 32, "f" * 64, status, 0, predict.texts(config), metrics, tags)


def predicted(config: Config, runs: list[Past], rate: float = RATE) -> predict.Prediction:
    (prediction,) = predict.predict([config], runs, HOST, lambda: rate, THREADS)
    return prediction


def on_a_line(overhead: float, slope: float, ks: tuple[int, ...] = (1, 5, 25)) -> list[Past]:
    configs = [Config(mc_samples=k) for k in ks]
    return [past(config, overhead + slope * predict.cost(config)) for config in configs]


def test_repeats_give_the_median_time_and_the_highest_peak():
    runs = [
        past(Config(seed=seed), seconds, peak) for seed, seconds, peak in [(0, 40, 1e9), (1, 90, 3e9), (2, 50, 2e9)]
    ]
    assert predicted(Config(seed=7), runs) == (50, 3e9, REPEATED)


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({"seed": 3}, REPEATED),
        ({"model": ModelConfig(name="renamed")}, REPEATED),
        ({"learning_rate": 0.01}, SCALED),
        ({"batch_size": 30}, SCALED),
        ({"model": ModelConfig(hidden_dims=[128])}, SCALED),
    ],
)
def test_a_repeat_differs_in_nothing_but_its_seed_and_names(change, source):
    assert predicted(Config(**change), [past(Config(), 60)]).source == source


def test_settings_that_only_one_side_records_do_not_part_repeats():
    run = past(Config(), 60)
    older = {key: value for key, value in run.params.items() if key not in ("noise", "probe.draws")}
    assert predicted(Config(), [run._replace(params={**older, schema.NLL_KIND: schema.PSEUDO_NLL})]).source == REPEATED
    assert predicted(Config(noise="sobol"), [run._replace(params=older)]).source == SCALED


@pytest.mark.parametrize(
    "change",
    [
        {"status": schema.KILLED},
        {"status": schema.FAILED},
        {"status": schema.RUNNING},
        {"host": "elsewhere"},
        {"threads": "2"},
    ],
)
def test_only_runs_that_finished_here_with_these_threads_count(change):
    assert predicted(Config(), [past(Config(), 60, **change)]).source == CALIBRATED
    assert predicted(Config(), [past(Config(), 60, **change), past(Config(seed=1), 50)]) == (50, 1.5e9, REPEATED)


def test_a_run_that_recorded_no_time_does_not_count():
    assert predicted(Config(), [past(Config(), 60)._replace(metrics={PEAK: 1e9})]).source == CALIBRATED


@given(overhead=st.floats(0, 100), slope=st.floats(1e-12, 1e-9))
@settings(max_examples=25, deadline=None)
def test_a_line_is_recovered(overhead, slope):
    other = Config(mc_samples=10, epochs=20)
    seconds, _, source = predicted(other, on_a_line(overhead, slope))
    assert source == SCALED
    assert seconds == pytest.approx(overhead + slope * predict.cost(other), rel=1e-3)


@pytest.mark.parametrize("strayed", [3.0, 3000.0])
def test_one_stray_run_does_not_move_the_line(strayed):
    runs = on_a_line(15, 1e-11, (1, 2, 3, 5, 10, 25))
    stray = runs[3]._replace(metrics={SECONDS: strayed, PEAK: 1e9})
    other = Config(mc_samples=7)
    truth = 15 + 1e-11 * predict.cost(other)
    assert predicted(other, [*runs, stray]).seconds == pytest.approx(truth, rel=0.01)


def test_neither_overhead_nor_slope_is_negative():
    costs = np.array([1e12, 2e12, 4e12])
    assert predict.fit(costs, np.array([5.0, 20.0, 50.0])).overhead == 0
    assert predict.fit(costs, np.array([50.0, 40.0, 30.0])).slope == 0


def test_runs_of_one_cost_are_scaled_beyond_the_overhead():
    other = Config(mc_samples=5)
    ratio = predict.cost(other) / predict.cost(Config())
    runs = [past(Config(seed=seed), seconds) for seed, seconds in enumerate([28, 30, 200])]
    assert predicted(other, runs).seconds == pytest.approx(OVERHEAD_SECONDS + 10 * ratio)


def test_short_runs_do_not_answer_for_long_ones():
    """What a run of a few seconds took is all overhead, whether or not it varied."""
    tiny = [Config(epochs=1, data=DataConfig(train_size=n, test_size=10)) for n in (100, 5000)]
    assert predicted(Config(), [past(tiny[0], 12), past(tiny[1], 14)]).source == CALIBRATED
    assert predicted(tiny[0], [past(tiny[1], 14), past(Config(), 60)]).source == SCALED
    slower_when_smaller = [past(Config(), 60), past(Config(mc_samples=25), 30)]
    assert predicted(Config(mc_samples=5), slower_when_smaller).source == CALIBRATED


def test_scaled_memory_is_the_highest_peak_so_far_and_never_below_the_estimate():
    other = Config(mc_samples=5)
    estimate = predict.memory_bytes(other)
    assert predicted(other, [past(Config(), 60, peak=9e9), past(Config(), 60, peak=1e9)]).bytes == 9e9
    assert predicted(other, [past(Config(), 60, peak=1e6)]).bytes == estimate


def test_without_earlier_runs_the_products_rate_decides():
    seconds, memory, source = predicted(Config(), [])
    passes = 784 * 256 + 256 * 2
    work = passes * (10 * 60_000 * 3 * 2 + 10_000 * (10 * 5 + 100))
    assert seconds == pytest.approx(OVERHEAD_SECONDS + work / (0.75 * RATE))
    assert (memory, source) == (predict.memory_bytes(Config()), CALIBRATED)
    assert predicted(Config(), [], rate=RATE / 2).seconds == pytest.approx(2 * seconds - OVERHEAD_SECONDS)


def test_the_machine_is_measured_once_and_only_where_needed():
    measured = []

    def calibrate() -> float:
        measured.append(RATE)
        return RATE

    configs = [Config(mc_samples=k) for k in (1, 5, 25)]
    predict.predict(configs, [past(config, 60) for config in configs], HOST, calibrate, THREADS)
    assert measured == []
    predictions = predict.predict(configs, [], HOST, calibrate, THREADS)
    assert measured == [RATE]
    assert predictions[0].seconds < predictions[1].seconds < predictions[2].seconds


def test_a_rate_is_measured():
    assert 1e8 < predict.matmul_rate() < 1e15


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(mc_samples=25, epochs=3, data=DataConfig(name="fashion_mnist", train_size=100, test_size=10)),
        Config(model=ModelConfig(hidden_dims=[500, 200], latent_dim=40), data=DataConfig(path="data/mnist")),
        Config(model=ModelConfig(hidden_dims=[]), evaluation=EvaluationConfig(iw_samples=1, final_iw_samples=3)),
    ],
)
def test_a_cost_is_the_same_from_a_configuration_and_from_its_recorded_settings(config):
    assert predict.cost_of(predict.texts(config)) == predict.cost(config)


@pytest.mark.parametrize(
    "change",
    [{"model.hidden_dims": "[256"}, {"epochs": "many"}, {"data.name": "idx", "data.path": "no/such/folder"}],
)
def test_runs_that_cannot_be_read_are_no_ground_for_scaling(change):
    run = past(Config(), 60)
    unreadable = run._replace(params={**run.params, **change})
    assert predicted(Config(mc_samples=5), [unreadable]).source == CALIBRATED
    assert predicted(Config(mc_samples=5), [unreadable, run]).source == SCALED


def test_sizes_come_from_the_files(tmp_path: Path):
    config = Config(data=DataConfig(name="idx", path=str(write_folder(tmp_path)), test_size=20))
    assert predict.images(config) == (300, 20)
    assert predict.pixels(config) == 6 * 9


MEASURED = [
    (Config(), 1.531e9),
    (Config(mc_samples=25), 1.546e9),
    (Config(mc_samples=25, batch_size=1000), 1.539e9),
    (Config(data=DataConfig(train_size=1000, test_size=500)), 1.200e9),
    (Config(mc_samples=50, batch_size=3000, data=DataConfig(train_size=6000, test_size=1000)), 2.848e9),
    (Config(model=ModelConfig(hidden_dims=[500, 500], latent_dim=40), data=DataConfig(train_size=10_000)), 1.414e9),
    (Config(data=DataConfig(name="linear_gaussian", pixels="real", train_size=1000, test_size=500)), 1.072e9),
]


@pytest.mark.parametrize(("config", "peak"), MEASURED)
def test_memory_of_measured_runs_is_estimated_within_a_fifth(config, peak):
    assert predict.memory_bytes(config) == pytest.approx(peak, rel=0.2)


@pytest.mark.parametrize("model", [ModelConfig(), ModelConfig(hidden_dims=[30, 20], latent_dim=5)])
def test_parameters_are_those_of_the_model(model):
    from src.vae.model import VAE

    config = Config(model=model)
    vae = VAE.from_settings(config, 784)
    assert predict.parameters(config) == vae.encoder.count_params() + vae.decoder.count_params()


def test_disk_holds_two_checkpoints_with_moments_and_the_model():
    small, large = (Config(model=ModelConfig(hidden_dims=dims)) for dims in ([256], [512]))
    grown = predict.parameters(large) - predict.parameters(small)
    assert predict.disk_bytes(large) - predict.disk_bytes(small) == 4 * 7 * grown
    assert 12e6 < predict.disk_bytes(small) < 13e6


def test_a_finished_run_stands_for_its_fingerprint_and_else_the_latest():
    def run(name: str, fingerprint: str, status: str, started: int) -> Past:
        return Past(name, fingerprint, status, started, {}, {}, {})

    runs = [
        run("a", "x", schema.FINISHED, 2),
        run("b", "x", schema.FAILED, 3),
        run("c", "x", schema.FINISHED, 1),
        run("d", "y", schema.KILLED, 5),
        run("e", "y", schema.FAILED, 4),
    ]
    for order in (runs, runs[::-1]):
        assert {fingerprint: found.run_id for fingerprint, found in latest(order).items()} == {"x": "a", "y": "d"}
