"""Estimators of bound and gradient against the closed forms of the linear-Gaussian VAE and against each other."""

from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from src.config import Config, DataConfig, ForkConfig, ModelConfig, ProbeConfig, StudyConfig, contradictions, entries
from src.config.contradictions import CONTRADICTIONS
from src.vae import draws, gradients
from src.vae.draws import SAMPLERS
from src.vae.gradients import GRADIENTS, OBJECTIVES, Estimator
from src.vae.likelihoods import LIKELIHOODS
from tests.statistics import agrees
from tests.vae.models import IMAGES, LATENT, LINEAR_VAE, ORACLE, X

DRAWS = 4000


def estimator(**settings: str) -> Estimator:
    return Estimator.from_settings(Config(**settings))


@cache
def replicates(mc_samples: int, **settings: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Losses [R] and gradients {variable: [R, ...]} of independent replicates at frozen weights."""
    weights, estimated = tf.fill([IMAGES], 1 / IMAGES), estimator(**settings)

    def one(counter):
        eps = draws.normal_draws(3, counter, IMAGES, mc_samples, LATENT)
        found = gradients.estimate(estimated, LINEAR_VAE, tf.constant(X), weights, eps)
        return found.loss, found.gradients

    every = tf.function(lambda counters: ops.map(one, counters), autograph=False, jit_compile=True)
    losses, found = every(tf.range(DRAWS, dtype=tf.int64))
    names = [variable.path for variable in gradients.variables_of(LINEAR_VAE)]
    return np.array(losses, np.float64), dict(zip(names, map(np.asarray, found), strict=True))


ELBOS = {"analytic": {}, "sampled": {"kl": "sampled"}, "stl": {"kl": "sampled", "gradient": "stl"}}
IWAE = {"objective": "iwae", "kl": "sampled"}


@pytest.mark.parametrize("name", ELBOS)
def test_elbo_estimators_have_the_closed_forms_mean_and_variance(name):
    losses, found = replicates(2, **ELBOS[name])
    assert agrees(losses, -ORACLE.elbo(X).mean())
    by_q_mean = ORACLE.gradient_q_mean(X, estimator=name)
    bias = found["q_mean/bias"]
    assert agrees(bias, by_q_mean.mean.mean(axis=0))
    assert not agrees(0.5 * bias, by_q_mean.mean.mean(axis=0))  # power: half the gradient is rejected
    # The variance of a mean over B images and K draws is the sum over images of theirs, over B^2 K.
    expected = by_q_mean.variance.sum() / (IMAGES**2 * 2)
    assert agrees(((bias - bias.mean(axis=0)) ** 2).sum(axis=1) * DRAWS / (DRAWS - 1), expected)
    assert not agrees(((bias - bias.mean(axis=0)) ** 2).sum(axis=1) * 2, expected)  # power: K forgotten


@pytest.mark.parametrize("name", ELBOS)
def test_elbo_gradients_of_all_parts_agree_with_the_closed_forms(name):
    _, found = replicates(2, **ELBOS[name])
    assert agrees(found["output/kernel"], ORACLE.gradient_W(X).mean.mean(axis=0).T)
    (log_var,) = (value for name, value in found.items() if name.endswith("/log_var"))
    assert agrees(log_var, ORACLE.gradient_log_s2(X).mean.mean())
    # q_log_var = 2 ln delta
    assert agrees(found["q_log_var/bias"], ORACLE.gradient_log_delta(X).mean.mean(axis=0) / 2)


def test_iwae_and_dreg_agree_on_the_gradient_and_differ_in_variance():
    losses, plain = replicates(4, **IWAE)
    again, doubly = replicates(4, **IWAE, gradient="dreg")
    np.testing.assert_allclose(losses, again, rtol=1e-5)  # the loss is the bound for every gradient estimator
    encoder = [name for name in plain if name.startswith("q_")]
    for name in plain:
        if name in encoder:
            assert agrees(plain[name] - doubly[name], 0.0), name
        else:
            np.testing.assert_allclose(plain[name], doubly[name], rtol=1e-3, atol=1e-4)
    assert any(not agrees(plain[name] - 0.8 * doubly[name], 0.0) for name in encoder)  # power: 20 % off is rejected


def test_iwae_lies_between_elbo_and_log_prob():
    losses, _ = replicates(4, **IWAE)
    elbo, log_prob = ORACLE.elbo(X).mean(), ORACLE.log_prob(X).mean()
    assert elbo < -losses.mean() < log_prob


def test_stl_for_iwae_with_several_draws_is_biased_and_refused():
    _, plain = replicates(4, **IWAE)
    _, dropped = replicates(4, **IWAE, gradient="stl")
    assert not agrees(plain["q_mean/bias"] - dropped["q_mean/bias"], 0.0)
    assert contradictions(Config(mc_samples=4, objective="iwae", kl="sampled", gradient="stl"))


OWN = "src.vae.conv:build"
REFUSED = [
    (Config(objective="iwae"), "kl", "Received: kl=analytic"),
    (Config(gradient="stl"), "gradient", "Set kl=sampled"),
    (Config(gradient="stl", kl="sampled", objective="iwae", mc_samples=2), "gradient", "Set gradient=dreg"),
    (Config(objective="vr_iwae", alpha=0.5), "kl", "objective=iwae or vr_iwae"),
    (Config(objective="vr_iwae", kl="sampled"), "alpha", "Received: alpha=null. Set alpha=0.5."),
    (Config(objective="iwae", kl="sampled", alpha=0.5), "alpha", "Received: alpha=0.5. Set objective=vr_iwae"),
    (Config(alpha=0.0), "alpha", "null with an objective that has no alpha"),
    (Config(gradient="stl", kl="sampled", objective="vr_iwae", alpha=0.5, mc_samples=2), "gradient", "stl is biased"),
    (Config(gradient="dreg", kl="sampled"), "gradient", "objective=iwae"),
    (Config(gradient="dreg", kl="sampled", objective="iwae", noise="antithetic", mc_samples=2), "noise", "noise=iid"),
    (Config(noise="antithetic", mc_samples=5), "mc_samples", "Received: mc_samples=5"),
    (Config(noise="sobol", mc_samples=6), "mc_samples", "a power of 2"),
    (Config(noise="sobol", mc_samples=1), "mc_samples", "a power of 2"),
    (Config(likelihood="gaussian", data=DataConfig(pixels="dynamic")), "likelihood", "data.pixels=grayscale"),
    (Config(data=DataConfig(name="linear_gaussian", pixels="real")), "likelihood", "likelihood=gaussian"),
    (Config(epochs=3, fork=ForkConfig(epochs=3)), "fork.epochs", "less than epochs"),
    (Config(fork=ForkConfig(mc_samples=2)), "fork.mc_samples", "Received: fork.mc_samples=2"),
    (Config(fork=ForkConfig(batch_size=10)), "fork.batch_size", "null with fork.epochs=0"),
    (Config(fork=ForkConfig(learning_rate=0.1)), "fork.learning_rate", "Received: fork.learning_rate=0.1"),
    (Config(model=ModelConfig(factory=OWN, hidden_dims=[9])), "model.hidden_dims", "left out with model.factory"),
    (Config(model=ModelConfig(factory=OWN, activation="tanh")), "model.activation", "left out with model.factory"),
    (Config(study=StudyConfig(metric="validation/nll")), "study.metric", "without data.validation_size"),
    (Config(study=StudyConfig(metric="probe/all/snr"), probe=ProbeConfig(epochs=[])), "study.metric", "without probes"),
    (Config(study=StudyConfig(metric="final/iw_ess")), "study.metric", "another one with this evaluation.quadrature"),
    (Config(study=StudyConfig(factor="seed")), "study.factor", "Received: study.factor=seed"),
    (Config(study=StudyConfig(covarying=["epoch"])), "study.covarying", "settings of a run"),
    (Config(study=StudyConfig(tune="rate"), data=DataConfig(validation_size=9)), "study.tune", "a setting of a run"),
    (Config(study=StudyConfig(tune="learning_rate")), "data.validation_size", "positive with study.tune"),
]


@pytest.mark.parametrize(("config", "key", "part"), REFUSED)
def test_combinations_that_make_no_sense_are_refused_with_the_reason(config, key, part):
    (problem,) = contradictions(config)
    assert problem.startswith(f"{key} must be ")
    assert part in problem


def test_every_contradiction_is_tested():
    assert all(any(found.holds(config) for config, _, _ in REFUSED) for found in CONTRADICTIONS)


TABLES = {"noise": SAMPLERS, "likelihood": LIKELIHOODS, "objective": OBJECTIVES, "gradient": GRADIENTS}


@pytest.mark.parametrize("key", TABLES)
def test_the_variants_are_those_that_the_settings_admit(key):
    (domain,) = (entry.domain for entry in entries(Config()) if entry.key == key)
    assert domain.expected == f"one of {', '.join(TABLES[key])}"
    assert all(domain.admits(name) for name in TABLES[key])


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_the_kls_of_an_objective_are_those_that_do_not_contradict_it(objective, kl):
    alpha = 0.5 if objective == "vr_iwae" else None
    assert (kl in OBJECTIVES[objective]) == (not contradictions(Config(objective=objective, alpha=alpha, kl=kl)))


def test_an_estimator_that_does_not_exist_is_an_error():
    with pytest.raises(KeyError, match="drag"):
        estimator(gradient="drag")
    with pytest.raises(KeyError, match="analytic"):
        estimator(objective="iwae")
    with pytest.raises(ValueError, match="gradient=dreg needs an importance-weighted objective"):
        replicates(2, kl="sampled", gradient="dreg")
