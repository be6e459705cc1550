"""The probe against single gradients; it does not change training. See also test_linear_gaussian_grid."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from src import data, schema
from src.config import Config, ModelConfig, ProbeConfig
from src.vae import Programs, gradients, is_due, training
from src.vae.gradients import Estimator
from src.vae.model import VAE
from src.vae.probe import Probe
from tests.conftest import small
from tests.oracles.components import components_of

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
QUANTITIES, EPOCH = ("var_data", "var_mc", "square_mean"), 4


@pytest.fixture(scope="module", params=SETTINGS)
def probe(request, digits):
    """Of a model with two hidden layers a side and three latents, with few images and draws."""
    config = small(**SETTINGS[request.param], model=ModelConfig(hidden_dims=[7, 6], latent_dim=3, activation="tanh"))
    config.probe = ProbeConfig(images=5, draws=3)
    return Probe(VAE.from_settings(config, 784), digits, config)


@pytest.fixture(scope="module")
def probed(probe):
    return probe(EPOCH)


@pytest.fixture(scope="module")
def singly(probe):
    """Losses [images, sets] and gradients [images, sets, parameters] of encoder and decoder, computed one at a time."""
    eps = np.reshape(probe.draws(tf.constant(EPOCH, tf.int64)), (*probe.size[:2], 1, probe.size.set_size, -1))
    cut = len(probe.vae.encoder.trainable_variables)
    losses, parts = [], ([], [])
    for image, sets in zip(probe.images, eps, strict=True):
        for draws in sets:
            made = gradients.estimate(
                Estimator.from_settings(probe.config), probe.vae, image[None], tf.ones(1), tf.constant(draws)
            )
            losses.append(float(made.loss))
            for part, chosen in zip(parts, (made.gradients[:cut], made.gradients[cut:]), strict=True):
                part.append(np.concatenate([np.asarray(value, np.float64).ravel() for value in chosen]))
    shape = (*probe.size[:2], -1)
    return np.reshape(losses, shape[:2]), [np.reshape(part, shape) for part in parts]


def test_the_probe_is_what_single_gradients_give(probe, probed, singly):
    losses, (encoder, decoder) = singly
    values = (losses[..., None], encoder, decoder, np.concatenate([encoder, decoder], axis=-1))
    for part, of_part in zip(schema.PROBE_PARTS, values, strict=True):
        split = components_of(of_part, probe.size.set_size)
        scale = max(abs(split.var_data), split.var_mc, abs(split.square_mean) if part != "loss" else 0.0)
        for quantity in QUANTITIES:
            expected = getattr(split, quantity)
            tolerance = 1e-3 * scale if part != "loss" else 1e-2 * scale + 1e-5 * abs(expected)
            assert probed[schema.probe_key(part, quantity)] == pytest.approx(expected, abs=tolerance), (part, quantity)


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


def test_layers_and_the_optimizers_metric_are_what_single_gradients_give(probe, probed, singly):
    _, (encoder, decoder) = singly
    both = np.concatenate([encoder, decoder], axis=-1)
    parts = {"encoder": encoder, "decoder": decoder, "all": both} | of_layers(probe.vae, both)
    assert schema.probed_layers(probed) == set(parts) - set(schema.PROBE_PARTS)
    set_size = probe.size.set_size
    for part, values in parts.items():
        weights = metric_weights(values, probe.config, set_size)
        for scaled, weighted in ((False, values), (True, values * np.sqrt(weights))):
            split = components_of(weighted, set_size)
            scale = max(abs(split.var_data), split.var_mc, abs(split.square_mean))
            for quantity in QUANTITIES:
                key = schema.probe_key(part, quantity, scaled)
                assert probed[key] == pytest.approx(getattr(split, quantity), abs=2e-3 * scale), key
        wrong = components_of(values * weights**0.25, set_size)  # power: 1 over the root of the second moment
        assert probed[schema.probe_key(part, "var_mc", True)] != pytest.approx(wrong.var_mc, rel=0.05)


def test_the_noise_of_a_minibatch_loss_is_the_probes(probe, probed):
    noise, other = (probe.loss_noise(epoch)[schema.TRAIN_LOSS_VARIANCE_MC.key] for epoch in (EPOCH, 5))
    assert noise != other  # other draws
    var_mc, config = probed[schema.probe_key("loss", "var_mc")], probe.config
    assert noise == pytest.approx(var_mc * probe.size.set_size / (config.mc_samples * config.batch_size), rel=1e-3)


def test_the_probe_records_what_one_observation_is(probe, probed):
    independent = probe.config.noise == "iid" and probe.config.objective == "elbo"
    assert probed[schema.PROBE_INDEPENDENT.key] == independent
    assert probed[schema.PROBE_SET_SIZE.key] == (1 if independent else probe.config.mc_samples)
    assert all(isinstance(value, float) for value in probed.values())


def test_with_equal_weights_the_metric_is_the_trace(digits):
    config = small(**SETTINGS["iwae"], optimizer="sgd", model=ModelConfig(hidden_dims=[7], latent_dim=2))
    config.probe = ProbeConfig(images=5, draws=3)
    found = Probe(VAE.from_settings(config, 784), digits, config)(epoch=1)
    for part in {"encoder", "decoder", "all"} | schema.probed_layers(found):
        for quantity in schema.PROBE_COMPONENTS:
            plain, scaled = (found[schema.probe_key(part, quantity, scaled)] for scaled in (False, True))
            scale = abs(found[schema.probe_key(part, "var_data")]) + found[schema.probe_key(part, "var_mc")]
            tolerance = 1e-2 * abs(plain) if "log" in quantity else 1e-3 * scale
            assert scaled == pytest.approx(plain, abs=tolerance, nan_ok=True), (part, quantity)


def test_probing_changes_neither_weights_nor_history(digits):
    config = small(mc_samples=2)
    programs = Programs(config, digits)
    trainer, probe = programs.trainer(config, digits), programs.probe(config, digits)

    def run(beside: bool) -> list[np.ndarray]:
        """The losses of every epoch, and the weights after the last."""
        losses = []

        def on_epoch(record: training.EpochRecord) -> None:
            losses.append(record.steps["loss"])
            if beside:
                probe(record.epoch)

        programs.begin(config, digits)
        if beside:
            probe(0)
        training.train(trainer, config, on_epoch)
        return [*losses, *(np.array(value) for value in programs.vae.trainable_variables)]

    for one, two in zip(run(False), run(True), strict=True):
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
