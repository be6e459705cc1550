"""The functional model, whose draws are an input: the same model as `VAE`, weight by weight."""

import keras
import numpy as np
import pytest

from src.vae import draws
from src.vae.functional import functional, graphs
from src.vae.model import VAE, Posterior, reparameterize

IMAGES = np.random.default_rng(1).random((6, 784)).astype(np.float32)


def cross_entropy(targets, means):
    """The post's loss, with targets [B, 1, pixels] broadcast over the draws."""
    targets = keras.ops.broadcast_to(targets, keras.ops.shape(means))
    return keras.ops.sum(keras.ops.binary_crossentropy(targets, means), axis=-1)


def pair(mc_samples: int) -> tuple[VAE, VAE, keras.Model, np.ndarray]:
    """A model at fixed draws, an equal one with its functional model, and the draws; all compiled."""
    eps = np.asarray(draws.normal_draws(1, 0, len(IMAGES), mc_samples, 2))
    vae, other = VAE(mc_samples=mc_samples), VAE(mc_samples=mc_samples)
    vae.noise = lambda x: keras.ops.convert_to_tensor(eps)
    model = functional(other)
    vae.compile("sgd")
    model.compile("sgd", loss=cross_entropy)
    return vae, other, model, eps


@pytest.mark.parametrize("mc_samples", [1, 2, 6])  # 2 = D and 6 = B, where a wrong broadcast has the right shape
def test_means_loss_and_update_are_those_of_the_vae(mc_samples):
    vae, other, model, eps = pair(mc_samples)
    np.testing.assert_allclose(model.predict([IMAGES, eps], verbose=0), vae.predict(IMAGES, verbose=0), rtol=1e-5)
    targets = IMAGES[:, None, :]
    assert model.evaluate([IMAGES, eps], targets, verbose=0) == pytest.approx(vae.evaluate(IMAGES, verbose=0), rel=1e-5)
    assert model.evaluate([IMAGES, eps + 3], targets, verbose=0) != pytest.approx(
        vae.evaluate(IMAGES, verbose=0), rel=1e-5
    )  # power
    start = vae.get_weights()
    vae.fit(IMAGES, shuffle=False, verbose=0)
    model.fit([IMAGES, eps], targets, shuffle=False, verbose=0)
    for before, one, two in zip(start, vae.get_weights(), other.get_weights(), strict=True):
        # Sums of 784 float32 numbers, each rounded by 6e-8 of the sum.
        assert np.linalg.norm(one - two) <= 1e-4 * np.linalg.norm(one - before)


def test_the_weights_are_shared():
    vae = VAE(mc_samples=25)
    model = functional(vae)
    assert {id(weight) for weight in model.weights} == {id(weight) for weight in vae.trainable_weights}
    assert model.output_shape == (None, 25, 784)


def test_the_functional_model_is_saved_and_loaded(tmp_path):
    _, _, model, eps = pair(2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(loaded.predict([IMAGES, eps], verbose=0), model.predict([IMAGES, eps], verbose=0))


def test_the_posts_five_graphs():
    models = graphs(VAE(mc_samples=25))
    assert list(models) == ["reparameterization", "encoder", "encoder_with_kl", "decoder", "vae"]
    eps = np.asarray(draws.normal_draws(1, 0, 6, 25, 2))
    q = Posterior(*(np.random.default_rng(3).normal(size=(2, 6, 2)).astype(np.float32)))
    z = models["reparameterization"]([*q, eps])
    np.testing.assert_allclose(z, reparameterize(q, eps), rtol=1e-6, atol=1e-6)
