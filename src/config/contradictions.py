"""Settings that are sound one by one and make no sense together, with the reason and the remedy."""

from collections.abc import Callable
from typing import NamedTuple

from src.config.domains import refusal
from src.config.settings import Config, flatten


class Contradiction(NamedTuple):
    """Two settings that make no sense together: when, what to expect of which key, and why."""

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
        "reparam with kl=analytic: stl drops the score of q from a sampled log q(z|x)",
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
        "a power of 2 from 2 on with noise=sobol, whose balance needs it",
        "Use mc_samples=2, 4, 8, ...",
    ),
    Contradiction(
        lambda c: c.likelihood != "bernoulli" and c.data.pixels in ("dynamic", "static"),
        "likelihood",
        "bernoulli with binarised pixels, which have no density",
        "Set likelihood=bernoulli or data.pixels=grayscale.",
    ),
    Contradiction(
        lambda c: c.likelihood != "gaussian" and c.data.name == "linear_gaussian",
        "likelihood",
        "gaussian with real values, which lie outside of [0, 1]",
        "Set likelihood=gaussian.",
    ),
)


def contradictions(config: Config) -> list[str]:
    """Settings that are sound one by one and make no sense together."""
    values = flatten(config)
    return [
        refusal(found.key, found.expected, values[found.key], found.remedy)
        for found in CONTRADICTIONS
        if found.holds(config)
    ]
