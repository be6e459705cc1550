"""Squares of gradients one by one: those of outer products where these are possible, those of single gradients else."""

import numpy as np
import pytest
import tensorflow as tf

from src import schema
from src.config import Config, ModelConfig, ProbeConfig
from src.data import Dataset
from src.vae import outer_products
from src.vae.model import VAE
from src.vae.one_by_one import OneByOne
from src.vae.outer_products import OuterProducts
from src.vae.probe import Probe
from tests.oracles.components import components_of
from tests.vae import own

SIDE, IMAGES, DRAWS = 4, 12, 3
SETTINGS = {
    "elbo": {},
    "dreg": {"objective": "iwae", "kl": "sampled", "gradient": "dreg", "mc_samples": 2},
    "gaussian": {"likelihood": "gaussian", "noise": "antithetic", "mc_samples": 2, "optimizer": "adam"},
}


def probe_of(model: ModelConfig, images: int = IMAGES, **settings: object) -> Probe:
    """A probe of a model of few pixels."""
    values = np.random.default_rng(3).random((images, SIDE**2), np.float32)
    config = Config(model=model, probe=ProbeConfig(images=IMAGES, draws=DRAWS), **settings)
    dataset = Dataset(values, values, test_labels=None, redraw=False, image_shape=None)
    return Probe(VAE.from_settings(config, SIDE**2), dataset, config)


LINEAR = f"{own.__name__}:linear"


@pytest.mark.parametrize(("name", "factory"), [*((name, None) for name in SETTINGS), ("elbo", LINEAR)])
def test_both_ways_give_the_same_losses_and_squares(name, factory):
    layers = {} if factory else {"hidden_dims": [6, 5], "activation": "tanh"}
    probe = probe_of(ModelConfig(factory=factory, latent_dim=3, **layers), images=4, **SETTINGS[name])
    assert isinstance(probe.way, OuterProducts)
    eps = probe.draws(tf.constant(2, tf.int64))
    two = OneByOne(probe.vae, probe.config, probe.size)
    one, other = (way.squares(tf.constant(probe.images), eps) for way in (probe.way, two))
    np.testing.assert_allclose(one.losses, other.losses, rtol=1e-5)
    for pair in ((one.plain, other.plain), (one.scaled, other.scaled)):
        by_layer, expected = (np.asarray(values, np.float64) for values in pair)
        largest = np.abs(expected).max(axis=2, keepdims=True)
        one_to_one, expected = by_layer / largest, expected / largest
        np.testing.assert_allclose(one_to_one, expected, atol=2e-4)
        assert (np.abs(one_to_one - 1.001 * expected) > 2e-4).any(axis=2).all()  # power


def test_outer_products_are_for_linear_layers_alone():
    for factory, possible in (("linear", True), ("sound", False)):  # sound: activations within the layers
        vae = VAE(pixels=SIDE**2, factory=f"{own.__name__}:{factory}")
        assert outer_products.are_possible(vae) == possible
    assert not outer_products.are_possible(VAE(pixels=SIDE**2, factory="src.vae.conv:build"))


def single_gradients(vae: VAE, images: np.ndarray, rng: np.random.Generator, count: int) -> list[list[np.ndarray]]:
    """Gradients of encoder and decoder for every image and draw, [images, draws, weights], `count` times.

    The loss is written out anew, with draws by NumPy.
    """
    sources = vae.encoder.trainable_variables, vae.decoder.trainable_variables

    @tf.function
    def gradient(image, noise):
        with tf.GradientTape() as tape:
            mean, log_var = vae.encoder(image)
            logits = vae.decoder(mean + tf.exp(log_var / 2) * noise)
            nll = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(image, logits))
            loss = nll + tf.reduce_sum(mean**2 + tf.exp(log_var) - log_var - 1) / 2
        return [tf.concat([tf.reshape(g, [-1]) for g in part], axis=0) for part in tape.gradient(loss, sources)]

    def once() -> list[np.ndarray]:
        noise = tf.constant(rng.normal(size=(len(images), DRAWS, 1, 2)), tf.float32)
        found = [gradient(image[None], eps) for image, draws in zip(images, noise, strict=True) for eps in draws]
        return [np.reshape(part, (len(images), DRAWS, -1)) for part in zip(*found, strict=True)]

    return [once() for _ in range(count)]


def test_the_probe_of_conv_agrees_with_single_gradients_at_other_draws():
    """Means over replicates at the same images, of var_data and var_mc, within 5 standard errors."""
    probe, replicates = probe_of(ModelConfig(factory="src.vae.conv:build")), 60
    assert isinstance(probe.way, OneByOne)
    probed = [probe(epoch) for epoch in range(replicates)]
    singly = []
    for encoder, decoder in single_gradients(probe.vae, probe.images, np.random.default_rng(0), replicates):
        parts = {"encoder": encoder, "decoder": decoder, "all": np.concatenate([encoder, decoder], axis=-1)}
        singly.append({part: components_of(values) for part, values in parts.items()})
    for part in schema.PROBE_PARTS[1:]:
        for quantity in ("var_data", "var_mc"):
            one = np.array([found[schema.probe_key(part, quantity)] for found in probed])
            two = np.array([getattr(found[part], quantity) for found in singly])
            error = np.sqrt((one.var(ddof=1) + two.var(ddof=1)) / replicates)
            assert abs(one.mean() - two.mean()) < 5 * error, (part, quantity)
            if quantity == "var_mc":  # power: the divisor K instead of K - 1 is rejected
                assert abs(one.mean() - two.mean() * (DRAWS - 1) / DRAWS) > 5 * error, part
