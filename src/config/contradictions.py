"""Combinations of settings that are refused, each with the reason and the remedy."""

from collections.abc import Callable
from typing import NamedTuple

from src import schema
from src.config.listing import flatten, identifying
from src.config.settings import Config, ModelConfig, by_quadrature
from src.refusal import refusal


class Contradiction(NamedTuple):
    """A combination that cannot be run: the key, expectation and remedy of its refusal, and when it holds."""

    key: str
    expected: str
    remedy: str
    holds: Callable[[Config], bool]


def comparable(config: Config) -> set[str]:
    """The settings by which runs can be compared: those of their identity. Runs of one seed are pairs."""
    return identifying(config).keys() - {schema.SEED.key}


# What the keys begin with of metrics that only runs with probes record.
PROBED = ("probe/", schema.TRAIN_LOSS_VARIANCE_MC.key)
EXACT, BY_DRAWS = {schema.FINAL_TEST_NLL_QUADRATURE.key}, {metric.key for metric in schema.BY_DRAWS}
# The objectives that have importance weights.
WEIGHTED = ("iwae", "vr_iwae")

CONTRADICTIONS = (
    Contradiction("kl", "sampled with objective=iwae or vr_iwae, whose weights contain log q(z|x)", "Set kl=sampled.",
                  lambda c: c.objective in WEIGHTED and c.kl == "analytic"),
    Contradiction("alpha", "a number in [0, 1) with objective=vr_iwae, whose bound depends on it", "Set alpha=0.5.",
                  lambda c: c.objective == "vr_iwae" and c.alpha is None),
    Contradiction("alpha", "null with an objective that has no alpha", "Set objective=vr_iwae kl=sampled.",
                  lambda c: c.objective != "vr_iwae" and c.alpha is not None),
    Contradiction("gradient", "reparam with kl=analytic, which has no score of q for stl to drop", "Set kl=sampled.",
                  lambda c: c.gradient == "stl" and c.kl == "analytic"),
    Contradiction("gradient", "reparam or dreg with importance weights and mc_samples>1: stl is biased",
                  "Set gradient=dreg.", lambda c: c.gradient == "stl" and c.objective in WEIGHTED and c.mc_samples > 1),
    Contradiction("gradient", "reparam or stl with objective=elbo: it has no weights", "Set objective=iwae kl=sampled.",
                  lambda c: c.gradient == "dreg" and c.objective not in WEIGHTED),
    Contradiction("noise", "iid with gradient=dreg, which is derived for independent draws", "Set noise=iid.",
                  lambda c: c.gradient == "dreg" and c.noise != "iid"),
    Contradiction("mc_samples", "even with noise=antithetic, whose draws come in pairs", "Use mc_samples=2, 4, 6, ...",
                  lambda c: c.noise == "antithetic" and c.mc_samples % 2 == 1),
    Contradiction("mc_samples", "a power of 2 above 1 with noise=sobol, to be balanced", "Use mc_samples=2, 4, 8, ...",
                  lambda c: c.noise == "sobol" and (c.mc_samples < 2 or c.mc_samples & (c.mc_samples - 1) != 0)),
    Contradiction("likelihood", "bernoulli with binarised pixels, which have no density", "Set data.pixels=grayscale.",
                  lambda c: c.likelihood != "bernoulli" and c.data.pixels in ("dynamic", "static")),
    Contradiction("likelihood", "gaussian with data.pixels=real, values beyond [0, 1]", "Set likelihood=gaussian.",
                  lambda c: c.likelihood != "gaussian" and c.data.pixels == "real"),
    Contradiction("model.hidden_dims", "left out with model.factory, which makes its own layers", "Drop one of both.",
                  lambda c: c.model.factory is not None and c.model.hidden_dims != ModelConfig().hidden_dims),
    Contradiction("model.activation", "left out with model.factory, which makes its own layers", "Drop one of both.",
                  lambda c: c.model.factory is not None and c.model.activation != ModelConfig().activation),
    Contradiction("fork.epochs", "less than epochs, which counts all epochs of a run", "Raise epochs.",
                  lambda c: c.fork.epochs >= c.epochs),
    Contradiction("fork.mc_samples", "1 with fork.epochs=0, a run that is not forked", "Set fork.epochs=1.",
                  lambda c: c.fork.epochs == 0 and c.fork.mc_samples != 1),
    Contradiction("fork.batch_size", "null with fork.epochs=0, a run that is not forked", "Set fork.epochs=1.",
                  lambda c: c.fork.epochs == 0 and c.fork.batch_size is not None),
    Contradiction("fork.learning_rate", "null with fork.epochs=0, a run that is not forked", "Set fork.epochs=1.",
                  lambda c: c.fork.epochs == 0 and c.fork.learning_rate is not None),
    Contradiction("study.metric", "another one without data.validation_size", "Set data.validation_size=5000.",
                  lambda c: c.study.metric == schema.VALIDATION_NLL.key and not c.data.validation_size),
    Contradiction("study.metric", "another one without probes", "Leave probe.epochs out.",
                  lambda c: c.study.metric.startswith(PROBED) and not c.probe.epochs),
    Contradiction("study.metric", "another one with this evaluation.quadrature and model.latent_dim", "Change them.",
                  lambda c: c.study.metric in (BY_DRAWS if by_quadrature(c) else EXACT)),
    Contradiction("study.factor", "a setting of a run, such as learning_rate, and not its seed", "--help lists them.",
                  lambda c: c.study.factor not in comparable(c)),
    Contradiction("study.covarying", "settings of a run, such as epochs, and not its seed", "--help lists them.",
                  lambda c: not comparable(c).issuperset(c.study.covarying)),
    Contradiction("study.tune", "a setting of a run, such as learning_rate, but study.factor and seed, or null",
                  "--help lists them.", lambda c: c.study.tune not in (comparable(c) | {None}) - {c.study.factor}),
    Contradiction("data.validation_size", "positive with study.tune", "For example 5000.",
                  lambda c: c.study.tune is not None and not c.data.validation_size),
)  # fmt: skip


def contradictions(config: Config) -> list[str]:
    """The refusals of all contradictions that a configuration has; empty where there are none."""
    values, holding = flatten(config), [each for each in CONTRADICTIONS if each.holds(config)]
    return [refusal(each.key, each.expected, values[each.key], each.remedy) for each in holding]
