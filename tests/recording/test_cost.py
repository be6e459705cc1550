"""What a run will take: from earlier runs here, else from the machine's speed at products."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src import schema
from src.config import Config, DataConfig, EvaluationConfig, ModelConfig
from src.recording import cost
from src.recording.cost import CALIBRATED, GUESSED, OVERHEAD_SECONDS, RECORDED, Cost
from tests.idx_files import write_folder

HOST, THREADS = "here", "1"
PRODUCTS = 1e11
NEEDED = {schema.RUN_SECONDS.key: 60.0, schema.RUN_MULTIPLY_ADDS.key: 1e9, schema.RUN_RATE.key: 1e9}
OTHER = Config(mc_samples=10, epochs=20)


def ledger(config: Config, overhead: float, rate: float, **changes: Any) -> Any:
    """What is read of the ledger of an earlier run of these settings."""
    work = cost.multiply_adds(config)
    metrics = {
        schema.RUN_SECONDS.key: overhead + work / rate,
        schema.RUN_MULTIPLY_ADDS.key: work,
        schema.RUN_RATE.key: rate,
    }
    found = {"status": schema.FINISHED, "host": HOST, "threads": THREADS, "metrics": metrics} | changes
    return SimpleNamespace(
        status=found["status"],
        owner=SimpleNamespace(host=found["host"]),
        tags={schema.THREADS: found["threads"]},
        params={"model.factory": str(config.model.factory)},
        latest=lambda: found["metrics"],
    )


def expected(config: Config, recorded: list[Any], products: float = PRODUCTS) -> Cost:
    (found,) = cost.costs([config], recorded, HOST, THREADS, lambda: products)
    return found


@given(overhead=st.floats(0, 100), rate=st.floats(1e9, 1e12))
@settings(max_examples=25)
def test_overhead_and_rate_of_earlier_runs_are_recovered(overhead, rate):
    runs = [ledger(Config(mc_samples=k), overhead, rate) for k in (1, 5, 25)]
    seconds, _, source = expected(OTHER, runs)
    assert source == RECORDED
    assert seconds == pytest.approx(overhead + cost.multiply_adds(OTHER) / rate, rel=1e-6, abs=1e-4)


@pytest.mark.parametrize("stray", [{"overhead": 3000.0, "rate": 1e10}, {"overhead": 15.0, "rate": 1e7}])
def test_one_stray_run_does_not_move_the_estimate(stray):
    runs = [ledger(Config(mc_samples=k), 15.0, 1e10) for k in (1, 3, 5, 25)]
    assert expected(OTHER, [*runs, ledger(Config(), **stray)]) == pytest.approx(expected(OTHER, runs))


def test_an_overhead_is_never_negative():
    assert expected(OTHER, [ledger(Config(), -50.0, 1e10)]).seconds == pytest.approx(cost.multiply_adds(OTHER) / 1e10)


@pytest.mark.parametrize(
    "change",
    [
        {"status": schema.KILLED},
        {"status": schema.FAILED},
        {"status": schema.RUNNING},
        {"host": "elsewhere"},
        {"threads": "2"},
        {"metrics": {schema.RUN_SECONDS.key: 60.0}},
        *({"metrics": dict(NEEDED, **{schema.RUN_RATE.key: rate})} for rate in (0, -1.0, "fast", None, float("nan"))),
    ],
)
def test_only_runs_count_that_finished_here_with_these_threads_and_recorded_it(change):
    assert expected(Config(), [ledger(Config(), 5, 1e10, **change)]).source == CALIBRATED
    counted = ledger(Config(), 7, 1e10)
    assert expected(OTHER, [ledger(Config(), 5, 1e9, **change), counted]) == expected(OTHER, [counted])


def test_without_earlier_runs_the_products_rate_decides():
    seconds, memory, source = expected(Config(), [])
    passes = 784 * 256 + 256 * 2
    work = passes * (10 * 60_000 * 3 * 2 + 10_000 * (10 * 5 + 5))
    assert cost.multiply_adds(Config()) == work
    assert cost.training_multiply_adds(Config()) == passes * 10 * 60_000 * 3 * 2
    assert seconds == pytest.approx(OVERHEAD_SECONDS + work / (0.75 * PRODUCTS))
    assert (memory, source) == (cost.memory_bytes(Config()), CALIBRATED)
    assert expected(Config(), [], PRODUCTS / 2).seconds == pytest.approx(2 * seconds - OVERHEAD_SECONDS)


def test_draws_at_the_end_count_where_they_are_made_for_the_images_that_are_scored():
    def scoring(validation_size: int = 0, **changes: Any) -> float:
        config = Config(data=DataConfig(validation_size=validation_size), evaluation=EvaluationConfig(**changes))
        return (cost.multiply_adds(config) - cost.training_multiply_adds(config)) / cost.layer_products(config)

    assert scoring() == 10_000 * (10 * 5 + 5)
    assert scoring(quadrature=False) == 10_000 * (10 * 5 + 5000)
    assert scoring(quadrature=False, final_images=700) == 10_000 * 10 * 5 + 700 * 5000
    assert scoring(validation_size=2000) == 12_000 * 10 * 5 + 10_000 * 5
    assert cost.images(Config(data=DataConfig(validation_size=2000))) == (58_000, 12_000)


def test_a_factory_is_judged_by_its_own_runs_and_guessed_without():
    own, others = (Config(model=ModelConfig(factory=f"mymodel:{name}")) for name in ("build", "other"))
    runs = [ledger(Config(), 5, 1e10), ledger(own, 8, 1e9)]
    work = cost.multiply_adds(Config())
    assert expected(own, runs).seconds == pytest.approx(8 + work / 1e9)
    assert expected(Config(), runs).seconds == pytest.approx(5 + work / 1e10)
    assert expected(own, runs).source == RECORDED
    assert expected(others, runs).source == GUESSED


def test_the_machine_is_measured_once_and_only_where_needed():
    measured = []

    def calibrate() -> float:
        measured.append(PRODUCTS)
        return PRODUCTS

    configs = [Config(mc_samples=k) for k in (1, 5, 25)]
    cost.costs(configs, [ledger(Config(), 5, 1e10)], HOST, THREADS, calibrate)
    cost.costs([], [], HOST, THREADS, calibrate)
    assert measured == []
    found = cost.costs(configs, [], HOST, THREADS, calibrate)
    assert measured == [PRODUCTS]
    assert found[0].seconds < found[1].seconds < found[2].seconds


def test_a_rate_is_measured():
    assert 1e8 < cost.matmul_rate() < 1e15


def test_sizes_come_from_the_files(tmp_path: Path):
    config = Config(data=DataConfig(name="idx", path=str(write_folder(tmp_path)), test_size=20))
    assert cost.images(config) == (300, 20)
    assert cost.pixels(config) == 6 * 9


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
    assert cost.memory_bytes(config) == pytest.approx(peak, rel=0.2)


@pytest.mark.parametrize("model", [ModelConfig(), ModelConfig(hidden_dims=[30, 20], latent_dim=5)])
def test_the_disk_holds_two_checkpoints_with_moments_and_the_model(model):
    from src.vae import VAE

    config = Config(model=model)
    vae = VAE.from_settings(config, 784)
    parameters = vae.encoder.count_params() + vae.decoder.count_params()
    assert cost.disk_bytes(config) == 4 * 7 * parameters + cost.PICTURES_BYTES
