"""The probe against single gradients and closed forms; it does not change training."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from src import data, schema
from src.config.settings import Config, ModelConfig, ProbeConfig
from src.data.dataset import Dataset
from src.vae import gradients, training
from src.vae.gradients import Estimator
from src.vae.model import VAE
from src.vae.probe import Probe, is_due
from tests.conftest import small
from tests.oracles import linear_gaussian as oracle
from tests.oracles.components import components_of
from tests.vae.models import LINEAR_VAE, ORACLE

SETTINGS = {
    "elbo": {},
    "sampled": {"kl": "sampled"},
    "stl": {"kl": "sampled", "gradient": "stl"},
    "iwae": {"objective": "iwae", "kl": "sampled", "mc_samples": 3},
    "dreg": {"objective": "vr_iwae", "alpha": 0.5, "kl": "sampled", "gradient": "dreg", "mc_samples": 3},
    "antithetic": {"noise": "antithetic", "mc_samples": 4},
    "sobol": {"noise": "sobol", "mc_samples": 4},
    "continuous": {"likelihood": "continuous_bernoulli"},
    "gaussian": {"likelihood": "gaussian"},
}


def one_by_one(probe: Probe, vae: VAE, epoch: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Losses [images, sets] and gradients [images, sets, parameters] of encoder and decoder, computed one at a time."""
    eps = probe.draws(tf.constant(epoch, tf.int64)).numpy()
    eps = eps.reshape(len(probe.images), probe.sets, 1, probe.set_size, -1)
    cut = len(vae.encoder.trainable_variables)
    losses, parts = [], ([], [])
    for image, sets in zip(probe.images, eps, strict=True):
        for draws in sets:
            found = gradients.estimate(probe.estimator, vae, image[None], tf.ones(1), draws)
            losses.append(float(found.loss))
            for part, chosen in zip(parts, (found.gradients[:cut], found.gradients[cut:]), strict=True):
                part.append(np.concatenate([np.asarray(value, np.float64).ravel() for value in chosen]))
    shape = (len(probe.images), probe.sets, -1)
    return np.reshape(losses, shape[:2]), [np.reshape(part, shape) for part in parts]


def deep(digits, name: str) -> tuple[VAE, Probe]:
    """A model with two hidden layers a side and three latents, and its probe of few images and draws."""
    config = small(**SETTINGS[name], model=ModelConfig(hidden_dims=[7, 6], latent_dim=3, activation="tanh"))
    config.probe = ProbeConfig(images=5, draws=3)
    vae = VAE.from_settings(config, 784)
    return vae, Probe(vae, digits, config)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_probe_is_what_single_gradients_give(digits, name):
    vae, probe = deep(digits, name)
    found = probe(epoch=4)
    losses, (encoder, decoder) = one_by_one(probe, vae, epoch=4)
    values = (losses[..., None], encoder, decoder, np.concatenate([encoder, decoder], axis=-1))
    for part, of_part in zip(schema.PROBE_PARTS, values, strict=True):
        split = components_of(of_part, probe.set_size)
        for quantity, expected in (
            ("var_data", split.var_data),
            ("var_mc", split.var_mc),
            ("square_mean", split.square_mean),
        ):
            scale = max(abs(split.var_data), split.var_mc, abs(split.square_mean) if part != "loss" else 0.0)
            tolerance = 1e-3 * scale if part != "loss" else 1e-2 * scale + 1e-5 * abs(expected)
            assert found[schema.probe_key(part, quantity)] == pytest.approx(expected, abs=tolerance), (part, quantity)


def metric_weights(values: np.ndarray, config: Config, set_size: int) -> np.ndarray:
    """1 over the second moment of a minibatch gradient and RMSprop's epsilon, by coordinate of [images, sets, p]."""
    images, sets = values.shape[:2]
    within, between = values.var(axis=1, ddof=1).mean(axis=0), values.mean(axis=1).var(axis=0, ddof=1)
    noise = np.maximum(between - within / sets, 0) + within * set_size / config.mc_samples
    signal = np.maximum(values.mean(axis=(0, 1)) ** 2 - between / images, 0)
    return 1 / (signal + noise / config.batch_size + 1e-7)


def of_layers(vae: VAE, gradient: np.ndarray) -> dict[str, np.ndarray]:
    """The coordinates of each layer, a kernel and a bias, and of log_var."""
    layers = [layer for model in (vae.encoder, vae.decoder) for layer in model.layers if layer.trainable_variables]
    sizes = [sum(int(np.prod(value.shape)) for value in layer.trainable_variables) for layer in layers]
    pieces = np.split(gradient, np.cumsum(sizes), axis=-1)
    return {layer.name: piece for layer, piece in zip(layers, pieces, strict=False)} | (
        {"log_var": pieces[-1]} if pieces[-1].size else {}
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_layers_and_the_optimizers_metric_are_what_single_gradients_give(digits, name):
    vae, probe = deep(digits, name)
    config = probe.config
    found = probe(epoch=4)
    _, (encoder, decoder) = one_by_one(probe, vae, epoch=4)
    both = np.concatenate([encoder, decoder], axis=-1)
    parts = {"encoder": encoder, "decoder": decoder, "all": both} | of_layers(vae, both)
    assert schema.probed_layers(found) == set(parts) - set(schema.PROBE_PARTS)
    for part, values in parts.items():
        weights = metric_weights(values, config, probe.set_size)
        for scaled, weighted in ((False, values), (True, values * np.sqrt(weights))):
            split = components_of(weighted, probe.set_size)
            scale = max(abs(split.var_data), split.var_mc, abs(split.square_mean))
            for quantity in ("var_data", "var_mc", "square_mean"):
                key = schema.probe_key(part, quantity, scaled)
                assert found[key] == pytest.approx(getattr(split, quantity), abs=2e-3 * scale), key
        wrong = components_of(values * weights**0.25, probe.set_size)  # power: 1 over the root of the second moment
        assert found[schema.probe_key(part, "var_mc", True)] != pytest.approx(wrong.var_mc, rel=0.05)


@pytest.mark.parametrize("name", ["elbo", "iwae", "antithetic"])
def test_with_equal_weights_the_metric_is_the_trace(digits, name):
    config = small(**SETTINGS[name], optimizer="sgd", model=ModelConfig(hidden_dims=[7], latent_dim=2))
    config.probe = ProbeConfig(images=5, draws=3)
    found = Probe(VAE.from_settings(config, 784), digits, config)(epoch=1)
    for part in {"encoder", "decoder", "all"} | schema.probed_layers(found):
        for quantity in schema.PROBE_COMPONENTS:
            plain, scaled = (found[schema.probe_key(part, quantity, scaled)] for scaled in (False, True))
            scale = abs(found[schema.probe_key(part, "var_data")]) + found[schema.probe_key(part, "var_mc")]
            tolerance = 1e-2 * abs(plain) if "log" in quantity else 1e-3 * scale
            assert scaled == pytest.approx(plain, abs=tolerance, nan_ok=True), (part, quantity)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_noise_of_a_minibatch_loss_is_the_probes(digits, name):
    config = small(**SETTINGS[name], model=ModelConfig(hidden_dims=[7], latent_dim=2), batch_size=50)
    config.probe = ProbeConfig(images=40, draws=6)
    probe = Probe(VAE.from_settings(config, 784), digits, config)
    noise = [probe.loss_noise(epoch)[schema.TRAIN_LOSS_VARIANCE_MC.key] for epoch in (1, 2)]
    assert noise[0] != noise[1]  # other draws
    var_mc = probe(1)[schema.probe_key("loss", "var_mc")]
    assert noise[0] == pytest.approx(var_mc * probe.set_size / (config.mc_samples * 50), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "set_size", "independent"),
    [("elbo", 1, 1), ("sampled", 1, 1), ("iwae", 3, 0), ("antithetic", 4, 0), ("sobol", 4, 0)],
)
def test_the_probe_records_what_one_observation_is(digits, name, set_size, independent):
    config = small(**SETTINGS[name], model=ModelConfig(hidden_dims=[7], latent_dim=2))
    config.probe = ProbeConfig(images=5, draws=3)
    found = Probe(VAE.from_settings(config, 784), digits, config)(epoch=0)
    assert found[schema.PROBE_SET_SIZE.key] == set_size
    assert found[schema.PROBE_INDEPENDENT.key] == independent
    assert all(isinstance(value, float) for value in found.values())


def of_linear_model(config: Config, count: int) -> tuple[Probe, dict[str, float], np.ndarray]:
    """A probe of the linear model on `count` images, its metrics, and the images."""
    values = ORACLE.mu + 1.5 * np.random.default_rng(8).normal(size=(count, len(ORACLE.mu)))
    values = values.astype(np.float32)
    dataset = Dataset(values, values, test_labels=None, redraw=False, image_shape=None)
    config.probe = ProbeConfig(images=count, draws=8)
    probe = Probe(LINEAR_VAE, dataset, config)
    return probe, probe(epoch=0), probe.images.astype(np.float64)


def encoder_moments(x: np.ndarray) -> oracle.DrawMoments:
    """Mean gradient per datum and trace of its variance for all of a linear encoder's parameters."""
    by_mean, by_log = ORACLE.gradient_q_mean(x), ORACLE.gradient_log_delta(x)
    inputs = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    heads = [by_mean.mean, by_log.mean / 2]  # q_log_var = 2 ln delta
    mean = np.concatenate([np.einsum("bi,bj->bij", inputs, head).reshape(len(x), -1) for head in heads], axis=1)
    by_log_variance = np.asarray(by_log.variance).reshape(len(x), -1).sum(axis=1)
    return oracle.DrawMoments(mean, (inputs**2).sum(axis=1) * (by_mean.variance + by_log_variance / 4))


@pytest.mark.parametrize(("mc_samples", "batch_size"), [(1, 30), (5, 100), (25, 30)])
def test_components_of_a_linear_encoder_are_the_closed_forms(mc_samples, batch_size):
    config = Config(mc_samples=mc_samples, batch_size=batch_size, likelihood="gaussian")
    probe, found, x = of_linear_model(config, count=600)
    moments = encoder_moments(x)
    truth = oracle.components(moments.mean, moments.variance)
    var_data, var_mc = (found[schema.probe_key("encoder", name)] for name in ("var_data", "var_mc"))
    # The images are those of the closed form, so only eps is random: repeat the probe for its spread.
    again = [probe(epoch) for epoch in range(1, 13)]
    for name, expected in (("var_data", truth.var_data), ("var_mc", truth.var_mc)):
        values = np.array([found[schema.probe_key("encoder", name)] for found in again])
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean() - expected) < 5 * error, name
        assert abs(values.mean() - 1.3 * expected) > 5 * error, name  # power: 30 % off is rejected
    sem = found[schema.probe_key("encoder", "var_mc_sem")]
    assert abs(var_mc - truth.var_mc) < 5 * sem
    assert abs(var_data - truth.var_data) < 5 * found[schema.probe_key("encoder", "var_data_sem")]


def test_the_variance_of_a_minibatch_gradient_follows_from_the_components():
    """(var_data + var_mc / K) / B against independent minibatches, with K = 3 and B = 10."""
    batch_size, mc_samples, replicates = 10, 3, 3000
    _, _, x = of_linear_model(Config(likelihood="gaussian"), count=600)
    rng = np.random.default_rng(0)

    @tf.function(jit_compile=True)
    def gradient(images, eps):
        found = gradients.estimate(
            Estimator.from_settings(Config()), LINEAR_VAE, images, tf.fill([batch_size], 1 / batch_size), eps
        )
        return tf.concat([tf.reshape(value, [-1]) for value in found.gradients[:4]], axis=0)

    drawn = [
        gradient(
            tf.constant(x[rng.integers(len(x), size=batch_size)], tf.float32),
            tf.constant(rng.normal(size=(batch_size, mc_samples, 2)), tf.float32),
        ).numpy()
        for _ in range(replicates)
    ]
    squares = ((drawn - np.mean(drawn, axis=0)) ** 2).sum(axis=1) * replicates / (replicates - 1)
    moments = encoder_moments(x)
    truth = oracle.components(moments.mean, moments.variance)
    # Drawn with replacement from 600 images, whose variance has the divisor 600.
    expected = (truth.var_data * 599 / 600 + truth.var_mc / mc_samples) / batch_size
    error = squares.std(ddof=1) / np.sqrt(replicates)
    assert abs(squares.mean() - expected) < 5 * error
    assert abs(squares.mean() - (truth.var_data + truth.var_mc) / batch_size) > 5 * error  # power: K forgotten


def test_probing_changes_neither_weights_nor_history(digits):
    histories = []
    for probed in (False, True):
        config = small(mc_samples=2)
        vae = VAE.from_settings(config, 784)
        trainer = training.make_trainer(vae, digits, config)
        probe = Probe(vae, digits, config)
        records: list[training.EpochRecord] = []

        def on_epoch(record, records=records, probe=probe, probed=probed):
            records.append(record)
            if probed:
                probe(record.epoch)

        if probed:
            probe(0)
        training.train(trainer, config, on_epoch)
        histories.append((records, [np.asarray(value) for value in vae.trainable_variables]))
    (plain, plain_weights), (beside, beside_weights) = histories
    for one, two in zip(plain, beside, strict=True):
        np.testing.assert_array_equal(one.steps["loss"], two.steps["loss"])
    for one, two in zip(plain_weights, beside_weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_schedule_begins_before_training_and_holds_the_last_epoch():
    config = Config(epochs=7)
    assert [epoch for epoch in range(8) if is_due(epoch, config)] == [0, 1, 2, 5, 7]
    config.probe.epochs = []
    assert not any(is_due(epoch, config) for epoch in range(8))


def test_the_probe_set_does_not_depend_on_seed_k_or_batch_size(digits):
    first, second = (
        Probe(VAE(), digits, small(seed=seed, mc_samples=k, batch_size=b)) for seed, k, b in ((0, 1, 100), (3, 5, 30))
    )
    np.testing.assert_array_equal(first.images, second.images)
    assert len(first.images) == 250


@pytest.mark.parametrize(("pixels", "same"), [("dynamic", True), ("static", False)])
def test_the_pixels_of_the_probe_set_depend_on_the_seed_with_static_binarisation_only(pixels, same):
    settings = replace(small().data, pixels=pixels)
    first, second = (Probe.probe_set(data.load(settings, seed), 250) for seed in (0, 1))
    assert set(np.unique(first)) == {0.0, 1.0}
    assert (first == second).all() == same
    assert np.abs(first - second).mean() < np.abs(first - second[::-1]).mean() / 2  # the same images in the same order
