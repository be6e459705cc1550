"""The implementations of `benchmarks.contenders` train the same model on the same loss as this project."""

import math

import numpy as np
import pytest

from benchmarks import processes, trial
from benchmarks.contenders import BASELINE, CONTENDERS
from benchmarks.contenders.arrays import epoch_order, initial_weights, mean_loss
from benchmarks.trial import Measurement, Trial
from src import data
from src.config import DataConfig, ModelConfig
from tests.benchmarks import equal_weights

UNTRAINED = 784 * math.log(2)


def skip_where_lacking(name: str) -> None:
    if reason := CONTENDERS[name].lacking():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> str:
    """The file of 200 training images."""
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, data.load(DataConfig(train_size=200), seed=0).train)
    return str(path)


@pytest.fixture(scope="module")
def baseline(images) -> Measurement:
    return trial.measure(Trial(BASELINE, mc_samples=2, batch_size=50, images=images, epochs=1, seed=0))


@pytest.mark.parametrize("name", CONTENDERS)
def test_contenders_train_the_same_model_on_the_same_loss(name, baseline, images):
    skip_where_lacking(name)
    measure = trial.measure_apart if CONTENDERS[name].environment else trial.measure
    measured = measure(Trial(name, mc_samples=2, batch_size=50, images=images, epochs=1, seed=0))
    first, second = measured.losses
    assert measured.images == 200
    assert len(measured.epoch_seconds) == 1
    assert math.isfinite(second)
    assert second < first < UNTRAINED
    # Four steps from other weights and draws: over seeds, the standard deviation of one such loss is 7 nats, of two 10.
    assert first == pytest.approx(baseline.losses[0], abs=40.0)


@pytest.fixture(scope="module")
def trained(digits) -> tuple[equal_weights.Case, np.ndarray]:
    """Weights, order and draws of an epoch of this project, and its records, [T, 4]; the last step has 50 images."""
    from src import seeds
    from src.config.settings import Config
    from src.vae import draws, epoch_order, training
    from src.vae.model import VAE

    config = Config(mc_samples=3, epochs=1)
    vae = VAE.from_settings(config, 784)
    order = epoch_order.epoch_order(config.seed, 0, len(digits.train), config.batch_size)
    key = seeds.stream_key(config.seed, "train")
    eps = [draws.normal_draws(key, seeds.counter_of(0, step), 100, 3, 2).numpy() for step in range(len(order))]
    weights = [value.copy() for value in [*vae.encoder.get_weights(), *vae.decoder.get_weights()]]
    records: list[training.EpochRecord] = []
    training.train(training.make_trainer(vae, digits, config), config, records.append)
    case = {"pixels": digits.train / np.float32(255), "order": order, "eps": np.stack(eps)}
    return {**case, **dict(zip(map(str, range(10)), weights, strict=True))}, np.stack(
        [records[0].steps[name] for name in training.STEP_STATISTICS], axis=1
    )


# A float32 sum of 784 terms of one sign is off by at most 784 units of rounding. Three steps add less than that: the
# derivative of RMSprop's step by the gradient is at most rate / sqrt(epsilon) = 3.
ROUNDING = 784 * 2.0**-24


@pytest.mark.parametrize("name", equal_weights.STEPS)
def test_other_implementations_have_this_projects_losses_at_equal_weights_and_draws(name, trained, tmp_path):
    skip_where_lacking(name)
    case, expected = trained
    np.savez(tmp_path / "case.npz", **case)
    environment = CONTENDERS[name].environment
    found = np.array(processes.call(environment, "tests.benchmarks.equal_weights", name, str(tmp_path / "case.npz")))
    steps, columns = found.shape
    # PyTorch's RMSprop has its epsilon elsewhere, so only the first step is compared.
    assert steps == (1 if environment == "torch" else 3)
    np.testing.assert_allclose(found, expected[:steps, :columns], rtol=ROUNDING)


@pytest.mark.parametrize(("constant", "wrong"), [("EPSILON", 1e-14), ("RHO", 0.99)])
def test_the_bare_loop_is_told_from_one_with_another_optimizer(constant, wrong, trained, monkeypatch):
    from benchmarks.contenders import tensorflow_loop

    monkeypatch.setattr(tensorflow_loop, constant, wrong)
    case, expected = trained
    error = np.abs(equal_weights.bare_loop(case)[:, 0] / expected[:, 0] - 1)
    assert error[0] < ROUNDING
    assert error[1] > 5 * ROUNDING


def test_initial_weights_are_those_of_keras():
    from src.vae.model import VAE

    vae = VAE(seed=3)
    expected = [*vae.encoder.get_weights(), *vae.decoder.get_weights()]
    found = initial_weights(np.random.default_rng(0), ModelConfig(), 784)
    assert [value.shape for value in found] == [value.shape for value in expected]
    for value, keras in zip(found, expected, strict=True):
        # The bound of a uniform distribution: the largest of n values falls short of it by a share of 1 / n.
        assert np.abs(value).max() == pytest.approx(np.abs(keras).max(), rel=20 / value.size)
        assert value.mean() == pytest.approx(0.0, abs=5 * value.std() / np.sqrt(value.size))


def test_an_epoch_visits_every_image_once_and_weighs_its_smaller_last_step():
    order = epoch_order(np.random.default_rng(0), 7, 3)
    assert order.shape == (3, 3)
    assert sorted(order.flat) == [-1, -1, *range(7)]
    assert mean_loss(np.array([1.0, 2.0, 10.0]), order) == pytest.approx((3 * 1 + 3 * 2 + 10) / 7)


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
    from src.config.settings import Config
    from src.vae.model import VAE
    from src.vae.training import EpochRecord, make_trainer, train

    config = Config(batch_size=60, epochs=1, data=DataConfig(train_size=100))
    dataset = data.load(config.data, config.seed)
    records: list[EpochRecord] = []
    train(make_trainer(VAE.from_settings(config, 784), dataset, config), config, records.append)
    losses: list[float] = []
    project.train(config, dataset.train, losses.append)
    one, other = records[0].steps["loss"]
    assert losses == [pytest.approx(0.6 * one + 0.4 * other)]


def test_written_out_and_broadcast_cross_entropy_is_that_of_keras():
    from benchmarks.contenders.keras_fit import nll, nll_broadcast

    rng = np.random.default_rng(0)
    x = rng.random((3, 1, 7), np.float32)
    logits = rng.normal(0.0, 20.0, (3, 4, 7)).astype(np.float32)
    tiled = np.tile(x, (1, 4, 1))
    np.testing.assert_allclose(nll_broadcast(x, logits), nll(tiled, logits), rtol=1e-5)
