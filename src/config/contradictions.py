"""Combinations of settings that are refused, each with the reason and the remedy."""

from collections.abc import Callable
from typing import NamedTuple

from src.config.domains import refusal
from src.config.settings import Config, flatten


class Contradiction(NamedTuple):
    """A combination of admitted values that cannot be run: when it holds, and what is said of which key."""

    holds: Callable[[Config], bool]
    key: str
    expected: str
    remedy: str


CONTRADICTIONS = (
    Contradiction(
        lambda c: c.objective == "iwae" and c.kl == "analytic",
        "kl",
        "sampled with objective=iwae, whose importance weights contain log q(z|x)",
        "Set kl=sampled.",
    ),
    Contradiction(
        lambda c: c.gradient == "stl" and c.kl == "analytic",
        "gradient",
        "reparam with kl=analytic: stl drops the score of q, which only kl=sampled has",
        "Set kl=sampled or gradient=reparam.",
    ),
    Contradiction(
        lambda c: c.gradient == "stl" and c.objective == "iwae" and c.mc_samples > 1,
        "gradient",
        "reparam or dreg with objective=iwae and mc_samples above 1, where stl is biased",
        "Set gradient=dreg.",
    ),
    Contradiction(
        lambda c: c.gradient == "dreg" and c.objective == "elbo",
        "gradient",
        "reparam or stl with objective=elbo: dreg rewrites the gradient of importance weights",
        "Set objective=iwae kl=sampled, or gradient=stl.",
    ),
    Contradiction(
        lambda c: c.gradient == "dreg" and c.noise != "iid",
        "noise",
        "iid with gradient=dreg, which is derived for independent draws",
        "Set noise=iid.",
    ),
    Contradiction(
        lambda c: c.noise == "antithetic" and c.mc_samples % 2 == 1,
        "mc_samples",
        "even with noise=antithetic, whose draws come in pairs",
        "Use mc_samples=2, 4, 6, ...",
    ),
    Contradiction(
        lambda c: c.noise == "sobol" and (c.mc_samples < 2 or c.mc_samples & (c.mc_samples - 1) != 0),
        "mc_samples",
        "a power of 2, at least 2, with noise=sobol, whose points are balanced for no other number",
        "Use mc_samples=2, 4, 8, ...",
    ),
    Contradiction(
        lambda c: c.likelihood != "bernoulli" and c.data.pixels in ("dynamic", "static"),
        "likelihood",
        "bernoulli with binarised pixels, which have a probability and no density",
        "Set likelihood=bernoulli or data.pixels=grayscale.",
    ),
    Contradiction(
        lambda c: c.likelihood != "gaussian" and c.data.pixels == "real",
        "likelihood",
        "gaussian with data.pixels=real, whose values lie outside [0, 1]",
        "Set likelihood=gaussian.",
    ),
)


def contradictions(config: Config) -> list[str]:
    """The refusals of all contradictions that a configuration has; empty where there are none."""
    values = flatten(config)
    return [
        refusal(found.key, found.expected, values[found.key], found.remedy)
        for found in CONTRADICTIONS
        if found.holds(config)
    ]
