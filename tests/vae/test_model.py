"""The VAE as a plain Keras model, and the broadcasting of its draws."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from src import seeds
from src.config.settings import Config
from src.vae import bounds, densities, draws
from src.vae.epoch_order import epoch_order
from src.vae.model import VAE, Posterior, reparameterize
from src.vae.training import make_trainer, train
from tests.conftest import small
from tests.vae.models import terms

IMAGES = np.random.default_rng(1).random((6, 784)).astype(np.float32)


def weights(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(value) for value in model.trainable_variables]


def test_predict_returns_k_means_per_image():
    means = VAE(mc_samples=5).predict(IMAGES, verbose=0)
    assert means.shape == (6, 5, 784)
    assert ((means > 0) & (means < 1)).all()
    assert (means[:, 0] != means[:, -1]).any(axis=-1).all()


def test_initial_weights_are_the_same_for_every_k_and_batch_size_and_differ_by_seed():
    one, many = (VAE.from_settings(Config(mc_samples=k, batch_size=b), 784) for k, b in ((1, 100), (25, 30)))
    for first, second in zip(weights(one), weights(many), strict=True):
        np.testing.assert_array_equal(first, second)
    other = VAE.from_settings(Config(seed=1), 784)
    assert (weights(one)[0] != weights(other)[0]).any()


def test_the_posts_model_has_the_posts_parameters_and_a_summary():
    lines: list[str] = []
    VAE().summary(print_fn=lines.append)
    assert VAE().count_params() == 404_244
    assert all(name in "\n".join(lines) for name in ("encoder", "decoder", "404,244"))


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_a_saved_model_predicts_as_before(tmp_path, likelihood):
    vae = VAE(mc_samples=3, hidden_dims=(20, 10), latent_dim=4, activation="tanh", seed=5, likelihood=likelihood)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert loaded.settings == vae.settings
    np.testing.assert_array_equal(loaded.predict(IMAGES, verbose=0), vae.predict(IMAGES, verbose=0))


def test_noise_is_broadcast_over_draws_not_over_the_batch():
    q_mean = np.arange(6, dtype=np.float32).reshape(3, 2)
    q_log_var = np.log(np.full((3, 2), 4.0, np.float32))
    eps = np.random.default_rng(0).normal(size=(3, 3, 2)).astype(np.float32)
    z = np.asarray(reparameterize(Posterior(q_mean, q_log_var), eps))
    np.testing.assert_allclose(z, q_mean[:, None] + 2 * eps, rtol=1e-6)


def test_terms_of_nested_draws_are_nested():
    vae = VAE()
    large = terms(vae, IMAGES, draws.normal_draws(1, 0, 6, 5, 2))
    small = terms(vae, IMAGES, draws.normal_draws(1, 0, 6, 1, 2))
    assert large.log_likelihood.shape == (6, 5)
    assert large.kl.shape == (6,)
    np.testing.assert_allclose(small.log_likelihood[:, 0], large.log_likelihood[:, 0], rtol=1e-5)


def test_an_untrained_model_scores_784_ln_2_plus_its_kl():
    vae = VAE()
    found = terms(vae, IMAGES, draws.normal_draws(1, 0, 6, 25, 2))
    reconstruction = -np.asarray(bounds.elbo(found.log_likelihood, found.kl)) - np.asarray(found.kl)
    assert reconstruction.mean() == pytest.approx(784 * np.log(2), abs=1.0)


def cross_entropy(targets, means):
    """The post's loss: binary cross-entropy of targets and predictive means, summed over pixels."""
    return keras.ops.sum(keras.ops.binary_crossentropy(targets, means), axis=-1)


class WithoutKL(VAE):
    """The model whose bound lacks the KL."""

    def terms_at(self, *args):
        found = super().terms_at(*args)
        return found._replace(kl=keras.ops.zeros_like(found.kl))


def at_draws(kind: type[VAE], eps, **settings) -> VAE:
    """A compiled model whose draws are eps, [B, K, D]."""
    vae = kind(mc_samples=eps.shape[1], **settings)
    vae.noise = lambda x: keras.ops.convert_to_tensor(eps)
    vae.compile(loss=cross_entropy)
    return vae


def mean_kl(vae: VAE, images: np.ndarray) -> float:
    return float(np.mean(densities.gaussian_kl(*vae.encode(images))))


def compiled(kind: type[VAE], digits, mc_samples: int) -> tuple[VAE, np.ndarray, np.ndarray]:
    """A model compiled as the post compiles it, with its images and targets."""
    vae = kind(mc_samples=mc_samples, seed=3)
    vae.compile("rmsprop", loss=cross_entropy)
    images = digits.train.astype(np.float32) / 255
    return vae, images, images[:, None, :]


@pytest.mark.parametrize("mc_samples", [1, 5])
def test_keras_evaluate_is_the_negative_elbo_at_the_same_draws_with_targets_or_none(mc_samples):
    eps = draws.normal_draws(1, 0, 6, mc_samples, 2)
    found = terms(VAE(), IMAGES, eps)
    negative_elbo = -float(np.mean(bounds.elbo(found.log_likelihood, found.kl)))
    vae = at_draws(VAE, eps)
    for targets in (None, IMAGES, IMAGES[:, None, :]):
        assert vae.evaluate(IMAGES, targets, verbose=0) == pytest.approx(negative_elbo, rel=1e-5)
    assert at_draws(WithoutKL, eps).evaluate(IMAGES, verbose=0) != pytest.approx(negative_elbo, rel=1e-5)  # power
    assert at_draws(VAE, eps + 3).evaluate(IMAGES, verbose=0) != pytest.approx(negative_elbo, rel=1e-5)  # power


def test_keras_evaluate_agrees_with_the_compiled_epoch_at_its_weights_and_draws(digits):
    count = len(digits.train)
    config, records = small(mc_samples=3, batch_size=count, epochs=1), []
    train(make_trainer(VAE.from_settings(config, 784), digits, config), config, records.append)
    order = epoch_order(config.seed, 0, count, count)[0]
    eps = draws.normal_draws(seeds.stream_key(config.seed, "train"), seeds.counter_of(0, 0), count, 3, 2)
    images = digits.train[order].astype(np.float32) / 255
    losses = [at_draws(VAE, e, seed=config.seed).evaluate(images, batch_size=count, verbose=0) for e in (eps, eps + 3)]
    assert losses[0] == pytest.approx(records[0].steps["loss"][0], rel=1e-5)
    assert losses[1] != pytest.approx(records[0].steps["loss"][0], rel=1e-5)  # power: other draws


def test_weights_of_images_and_eager_steps():
    eps, weights = draws.normal_draws(1, 0, 6, 2, 2), np.arange(6, dtype=np.float32)
    vae = at_draws(VAE, eps)
    vae.compile(run_eagerly=True)
    found = terms(vae, IMAGES, eps)
    expected = np.mean(weights * -np.asarray(bounds.elbo(found.log_likelihood, found.kl)))
    loss = vae.evaluate(IMAGES, IMAGES[:, None, :], sample_weight=weights, verbose=0)
    assert loss == pytest.approx(float(expected), rel=1e-5)
    assert vae.evaluate(IMAGES, verbose=0) != pytest.approx(float(expected), rel=1e-2)  # power


def test_keras_fit_minimises_the_negative_elbo(digits):
    kls = {}
    for kind in (VAE, WithoutKL):
        vae, images, targets = compiled(kind, digits, mc_samples=2)
        before = vae.evaluate(images, verbose=0)
        first, second = vae.fit(images, targets, batch_size=50, epochs=2, verbose=0).history["loss"]
        assert before > first > second
        kls[kind] = mean_kl(vae, images)
    assert kls[VAE] < 0.8 * kls[WithoutKL]  # power: the gradient of the KL takes part


def mean_output_first(targets, means):
    """The log-likelihood of the mean, in place of the mean of the log-likelihoods."""
    return cross_entropy(targets[:, 0], keras.ops.mean(means, axis=1))


OTHER_LOSSES = {
    "mse": "mse",
    "mean cross-entropy": "binary_crossentropy",
    "its object": keras.losses.BinaryCrossentropy(),
    "of the mean": mean_output_first,
    "a list": ["mse"],
}


@pytest.mark.parametrize("loss", OTHER_LOSSES.values(), ids=OTHER_LOSSES.keys())
def test_a_loss_that_is_not_the_likelihoods_is_refused(loss):
    with pytest.raises(ValueError, match="loss"):
        VAE(mc_samples=5).compile("rmsprop", loss)


def test_a_learned_variance_has_no_loss_of_the_means():
    with pytest.raises(ValueError, match="likelihood=gaussian"):
        VAE(likelihood="gaussian").compile(loss=lambda x, mean: keras.ops.sum(keras.ops.square(x - mean), axis=-1) / 2)


BYTES = np.rint(255 * IMAGES).astype(np.uint8)


@pytest.mark.parametrize(
    ("arguments", "received"),
    [
        ((BYTES,), "x=type uint8"),
        ((BYTES.astype(np.float32),), "x=type float32"),
        ((BYTES > 99,), "x=type bool"),
        ((IMAGES, BYTES), "y=type uint8"),
        ((tf.data.Dataset.from_tensor_slices(BYTES.astype(np.float32)).batch(3),), "x=type float32"),
        ((tf.data.Dataset.from_tensor_slices((IMAGES, BYTES)).batch(3),), "y=type uint8"),
    ],
)
def test_images_of_another_scale_are_refused_by_keras_fit(arguments, received):
    vae = VAE()
    vae.compile()
    for method in (vae.fit, vae.evaluate):
        with pytest.raises(ValueError, match=f"must be floats.*{received}.*by 255"):
            method(*arguments, verbose=0)
    noisy = IMAGES + np.float32(0.5)
    assert np.isfinite(vae.fit(noisy, IMAGES, verbose=0).history["loss"]).all()
    assert np.isfinite(vae.evaluate(tf.data.Dataset.from_tensor_slices(IMAGES).batch(3), verbose=0))
    gaussian = VAE(likelihood="gaussian")
    gaussian.compile()
    assert np.isfinite(gaussian.fit(3 * noisy, verbose=0).history["loss"]).all()


def test_tiled_targets_are_refused():
    vae = VAE(mc_samples=5)
    vae.compile()
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        vae.fit(IMAGES, np.tile(IMAGES[:, None, :], (1, 5, 1)), verbose=0)


def test_a_compiled_model_is_loaded_compiled_with_its_optimizers_state(tmp_path):
    vae = VAE(mc_samples=2)
    vae.noise = lambda x: draws.normal_draws(1, 0, 6, 2, 2)
    vae.compile("adam", loss=cross_entropy)
    vae.fit(IMAGES, epochs=2, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    loaded.noise = vae.noise
    for model in (vae, loaded):
        model.fit(IMAGES, shuffle=False, verbose=0)
    assert int(loaded.optimizer.iterations) == 3
    for first, second in zip(weights(vae), weights(loaded), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_decoder_may_start_from_the_pixel_means(likelihood):
    vae = VAE(mc_samples=50, likelihood=likelihood)
    means = np.linspace(0.0, 1.0, 784)
    vae.predict_from_the_start(means)
    clipped = np.clip(means, 0.001, 0.999)
    drawn = vae.likelihood.mean(vae.decoder(np.zeros((1, 1, 2), np.float32))).numpy()[0, 0]
    np.testing.assert_allclose(drawn, clipped if likelihood == "bernoulli" else means, atol=1e-5)
