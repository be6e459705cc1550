"""The compiled epoch: order, partial batches, common random numbers, repeatability, divergence."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from src import data, seeds
from src.config.settings import Config
from src.vae import bounds, draws, epoch_order, programs_for, training
from src.vae.model import VAE
from tests.conftest import small
from tests.vae.models import terms


def history(config: Config) -> tuple[list[training.EpochRecord], np.ndarray]:
    """The records of a run by the programs of this process, and its final weights."""
    dataset = data.load(config.data, config.seed)
    programs = programs_for(config, dataset)
    records: list[training.EpochRecord] = []
    training.train(programs.trainer(config, dataset), config, records.append)
    return records, weights(programs.vae)


def weights(vae: VAE) -> np.ndarray:
    return np.concatenate([np.asarray(value).ravel() for value in vae.trainable_variables])


@pytest.mark.parametrize("batch_size", [30, 65, 100, 250])
def test_an_epoch_visits_every_image_once_in_an_order_of_its_own(batch_size):
    order = epoch_order.epoch_order(seed=0, epoch=3, images=250, batch_size=batch_size)
    assert order.shape == (-(-250 // batch_size), batch_size)
    flat = order[order != epoch_order.PADDING]
    assert sorted(flat.tolist()) == list(range(250))
    np.testing.assert_array_equal(flat, epoch_order.epoch_order(0, 3, 250, 100).ravel()[:250])
    assert (flat != epoch_order.epoch_order(0, 4, 250, 250).ravel()).any()
    assert (flat != epoch_order.epoch_order(1, 3, 250, 250).ravel()).any()


def test_the_end_of_training_does_not_wait_for_a_tuner_of_pipelines():
    assert epoch_order.epochs_from(0, Config(), 250).options().autotune.enabled is False
    assert tf.data.Dataset.range(2).options().autotune.enabled is not False  # what TensorFlow does by default


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam", "sgd"])
def test_compiled_epochs_are_the_steps_that_plain_keras_takes(digits, optimizer):
    """Losses and weights against a loop in plain Keras on the same draws, with a partial batch."""
    config = small(mc_samples=3, optimizer=optimizer)
    records, reached = history(config)
    reference = VAE.from_settings(config, 784)
    update = training.make_optimizer(config)
    key = seeds.stream_key(config.seed, "train")
    losses = []
    for epoch in range(2):
        order = seeds.generator(config.seed, "shuffle", epoch).permutation(250)
        for step, rows in enumerate((order[:100], order[100:200], order[200:])):
            x = digits.train[rows].astype(np.float32) / 255
            eps = draws.normal_draws(key, seeds.counter_of(epoch, step), 100, 3, 2)[: len(rows)]
            with tf.GradientTape() as tape:
                found = terms(reference, x, eps)
                loss = -tf.reduce_mean(bounds.elbo(found.log_likelihood, found.kl))
            update.apply(tape.gradient(loss, reference.trainable_variables), reference.trainable_variables)
            losses.append(float(loss))
    compiled = np.concatenate([record.steps["loss"] for record in records])
    np.testing.assert_allclose(compiled, losses, rtol=1e-4)
    if optimizer == "sgd":  # the others divide by the size of the gradient, which amplifies rounding near 0
        np.testing.assert_allclose(reached, weights(reference), atol=1e-5)


def test_the_same_seed_gives_the_same_history_bit_for_bit_also_in_a_program_of_its_own(digits):
    config, second = small(), []
    first, reached = history(config)
    vae = VAE.from_settings(config, 784)
    before, trainer = weights(vae), training.make_trainer(vae, digits, config)
    np.testing.assert_array_equal(weights(vae), before)  # compiling trains nothing
    assert int(trainer.optimizer.iterations) == 0
    training.train(trainer, config, second.append)
    for one, two in zip(first, second, strict=True):
        for name in training.STEP_STATISTICS:
            np.testing.assert_array_equal(one.steps[name], two.steps[name])
    np.testing.assert_array_equal(weights(vae), reached)
    other, _ = history(small(seed=1))
    assert other[0].steps["loss"][0] != first[0].steps["loss"][0]


def test_training_that_starts_later_draws_what_an_uninterrupted_run_draws(digits):
    """Order and noise of an epoch do not depend on the epochs before it."""
    config, halves = small(), []
    records, _ = history(config)
    trainer = programs_for(config, digits).trainer(config, digits)
    training.train(trainer, small(epochs=1), halves.append)
    training.train(trainer, config, halves.append, first=1)
    assert [record.epoch for record in halves] == [1, 2]
    np.testing.assert_array_equal(halves[1].steps["loss"], records[1].steps["loss"])


def test_an_epoch_counts_every_image_and_its_loss_is_reconstruction_plus_kl():
    records, _ = history(small())
    for record in records:
        np.testing.assert_array_equal(record.images, [100, 100, 50])
        np.testing.assert_allclose(record.steps["loss"], record.steps["nll"] + record.steps["kl"], rtol=1e-5)
        assert set(record.steps) == set(training.STEP_STATISTICS)
        assert record.seconds > 0
    assert records[1].steps["loss"].mean() < records[0].steps["loss"].mean()


def test_dynamic_pixels_are_drawn_anew_every_epoch_with_the_intensity_as_mean(digits):
    trainer = training.EpochTrainer(VAE(), replace(digits, redraw=True), small())
    rows = tf.zeros(4000, tf.int32)
    first, second = (np.asarray(trainer.batch(rows, tf.constant(counter, tf.int64))) for counter in (0, 1))
    assert set(np.unique(first)) == {0.0, 1.0}
    assert (first != second).any()
    intensity = digits.train[0] / 255
    error = np.sqrt(intensity * (1 - intensity) / 4000)
    assert (np.abs(first.mean(axis=0) - intensity) <= 5 * error).all()
    assert (np.abs(first.mean(axis=0) * 0.8 - intensity) > 5 * error).any()  # power: 20 % less ink is rejected


def test_a_run_that_diverges_says_where_and_keeps_its_epochs(digits):
    records: list[training.EpochRecord] = []
    config = small(optimizer="sgd", learning_rate=1e6, epochs=5)
    trainer = programs_for(config, digits).trainer(config, digits)
    with pytest.raises(training.Diverged, match=r"in epoch \d, step \d of 3") as raised:
        training.train(trainer, config, records.append)
    assert raised.value.status == "diverged"
    assert len(records) < 5


def test_the_first_step_that_is_not_finite_is_named():
    records = np.ones((4, len(training.STEP_STATISTICS)))
    training.check_finite(records, epoch=3)
    records[2, 3] = np.inf  # a gradient norm
    records[3] = np.nan
    with pytest.raises(training.Diverged, match=r"grad_norm .* epoch 3, step 3 of 4\. .*Received: inf"):
        training.check_finite(records, epoch=3)


def test_burdas_schedule_has_eight_stages_of_powers_of_three_and_reaches_the_optimizer(digits):
    config = Config(epochs=3280, learning_rate=1e-3, learning_rate_schedule="burda")
    rates = [training.learning_rate(config, epoch) for epoch in range(3280)]
    values, counts = np.unique(rates, return_counts=True)
    np.testing.assert_allclose(values[::-1], [1e-3 * 10 ** (-i / 7) for i in range(8)])
    assert counts[::-1].tolist() == [3**i for i in range(8)]
    assert training.learning_rate(Config(epochs=10), 9) == 1e-3
    config = small(optimizer="sgd", learning_rate=1e-3, learning_rate_schedule="burda")
    trainer = programs_for(config, digits).trainer(config, digits)
    training.train(trainer, config, lambda record: None)
    np.testing.assert_allclose(float(trainer.optimizer.learning_rate), training.learning_rate(config, 1), rtol=1e-6)
    assert training.learning_rate(config, 1) < 1e-3
