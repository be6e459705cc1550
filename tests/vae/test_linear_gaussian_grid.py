"""The probe and the noise of a step at every K and B against the closed forms of the linear-Gaussian VAE."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import linear_gaussian as grid
from benchmarks.linear_gaussian import IMAGES, POPULATION, STEP, Comparison
from src import data, schema, seeds
from src.vae import draws, epoch_order, gradients, training
from tests.oracles.synthetic import linear_gaussian_model
from tests.statistics import Z, agrees

MODEL = grid.half_trained()
TRAIN = data.load(grid.settings(1, 30).data, seed=0).train
CLOSED = grid.closed_components(MODEL, TRAIN)
PROBE_DRAWS = grid.settings(1, 30).probe.draws
# The standard error of the variance of normal losses is then sqrt(2 / R) = 3.7 %: at z = 5, 20 % off is rejected.
REPLICATES = 1500
KINDS = {(POPULATION, "var_data"), (POPULATION, "var_mc"), (IMAGES, "var_data"), (IMAGES, "var_mc"), (STEP, "variance")}


def accepted(comparison: Comparison) -> bool:
    return abs(comparison.z) <= Z


def scaled(comparison: Comparison, factor: float) -> Comparison:
    """The same from an estimator that is wrong by this factor, with its standard error."""
    return comparison._replace(measured=factor * comparison.measured, error=factor * comparison.error)


# Every K and both B.
@pytest.fixture(scope="module", params=[(1, 30), (5, 100), (25, 30)], ids=lambda cell: "K{}-B{}".format(*cell))
def comparisons(request):
    return grid.compare(*request.param, replicates=REPLICATES)


def test_the_probe_and_the_steps_agree_with_the_closed_forms(comparisons):
    assert {(one.part, one.against, one.quantity) for one in comparisons} == {
        (part, *kind) for part in schema.PROBE_PARTS for kind in KINDS
    }
    assert [one for one in comparisons if not accepted(one)] == []


def test_wrong_laws_of_k_are_rejected(comparisons):
    for one in (one for one in comparisons if one.against == STEP):
        (var_data, var_mc), k, b = CLOSED[one.part], one.mc_samples, one.batch_size
        wrong = {}
        if k > 1:
            wrong |= {"K forgotten": var_data + var_mc, "1/sqrt(K)": var_data + var_mc / math.sqrt(k)}
        if k < 25:  # at K=25 it is 7 % of the encoder's variance, below the resolution
            wrong |= {"no Monte Carlo part": var_data}
        for law, variance in wrong.items():
            assert not accepted(one._replace(closed=variance / b)), (law, one)


def test_wrong_estimators_of_the_probe_are_rejected(comparisons):
    found = {(one.part, one.against, one.quantity): one for one in comparisons}
    for part in schema.PROBE_PARTS:
        data_part, mc_part = (found[part, IMAGES, quantity] for quantity in grid.COMPONENTS)
        assert not accepted(scaled(mc_part, 1 - 1 / PROBE_DRAWS))  # ddof=0
        of_means = data_part.measured + mc_part.measured / PROBE_DRAWS
        assert not accepted(data_part._replace(measured=of_means))  # the Monte Carlo part left in
        # The error of one probe comes from its choice of images and is 10 % or more: only large biases are rejected.
        data_part, mc_part = (found[part, POPULATION, quantity] for quantity in grid.COMPONENTS)
        assert not accepted(scaled(mc_part, 0.5))
        assert not accepted(data_part._replace(measured=data_part.measured + mc_part.measured))  # the total


def share_draws(monkeypatch, rows):
    """Give all images the same draws. An image has one row in a step, and one row for each draw in a probe."""
    independent = draws.SAMPLERS["iid"]

    def draw(key, counter, batch_size, mc_samples, latent_dim):
        return tf.tile(independent.draw(key, counter, rows, mc_samples, latent_dim), (batch_size // rows, 1, 1))

    monkeypatch.setitem(draws.SAMPLERS, "iid", independent._replace(draw=draw))


def test_steps_with_noise_shared_over_images_are_rejected(monkeypatch):
    share_draws(monkeypatch, rows=1)
    config = grid.settings(5, 30)
    vae, dataset = grid.network(MODEL, config), data.load(config.data, config.seed)
    found = list(grid.of_a_step(MODEL, vae, dataset, config, REPLICATES))
    assert [one.part for one in found if not accepted(one)] == list(schema.PROBE_PARTS)


def test_probes_with_noise_shared_over_images_are_rejected(monkeypatch):
    share_draws(monkeypatch, rows=PROBE_DRAWS)
    config = grid.settings(5, 30)
    vae, dataset = grid.network(MODEL, config), data.load(config.data, config.seed)
    # The mean over images keeps the noise that they share, so the bias of var_data shows only over many calls. It is
    # smallest for the encoder, because the gradient of a kernel is proportional to x.
    found = list(grid.of_the_probe(MODEL, vae, dataset, config, probes=6 * grid.PROBES))
    rejected = {one.part for one in found if (one.against, one.quantity) == (IMAGES, "var_data") and not accepted(one)}
    assert rejected >= {"loss", "decoder"}


def test_a_replicate_is_the_first_step_of_an_epoch():
    config, epoch = grid.settings(5, 30), 2
    vae, dataset = grid.network(MODEL, config), data.load(config.data, config.seed)
    values = grid.minibatches(vae, dataset, config, replicates=epoch + 1)
    trainer = training.EpochTrainer(vae, dataset, config)
    trainer.compile(optimizer=training.make_optimizer(config))
    trainer.optimizer.build(gradients.variables_of(vae))
    rows = epoch_order.epoch_order(config.seed, epoch, len(dataset.train), config.batch_size)[0]
    loss, *_, norm = trainer.step(tf.constant(rows), seeds.counter_of(tf.constant(epoch, tf.int64), 0))
    assert values["loss"][epoch, 0] == pytest.approx(float(loss), rel=1e-5)
    assert np.linalg.norm(values["all"][epoch]) == pytest.approx(float(norm), rel=1e-5)


def test_the_vectors_follow_the_law_over_gaussian_data():
    truth = linear_gaussian_model()
    second_moment = truth.W @ truth.W.T + truth.s2 * np.eye(len(truth.mu))
    var_data, var_mc = MODEL.gaussian_loss_components(second_moment)
    mean, variance = grid.closed_forms(MODEL, TRAIN.astype(np.float64))["loss"]
    squares = (mean[:, 0] - mean.mean()) ** 2 * len(mean) / (len(mean) - 1)
    assert agrees(variance, var_mc)
    assert agrees(squares, var_data)
    uncorrelated = MODEL.gaussian_loss_components(np.diag(np.diag(second_moment)))
    assert not agrees(variance, uncorrelated.var_mc)
    assert not agrees(squares, uncorrelated.var_data)


def test_the_command_prints_and_writes_every_comparison(monkeypatch, capsys, tmp_path):
    def compare(*cell: int) -> list[Comparison]:
        return [Comparison(*cell[:2], "loss", against, quantity, 2.0, 2.25, 0.125) for against, quantity in KINDS]

    monkeypatch.setattr(grid, "compare", compare)
    output = tmp_path / "figures.json"
    assert grid.main(["--output", str(output)]) == 0
    assert "2.000 | 2.250 +- 0.125 | +2.00 |" in capsys.readouterr().out
    written = json.loads(output.read_text())["comparisons"]
    assert len(written) == 30
    assert {(one["mc_samples"], one["batch_size"]) for one in written} == set(grid.GRID)
    assert written[0]["z"] == 2.0
