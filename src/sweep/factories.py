"""Whether the factories of a grid make models that can be trained, tried in a process that imports TensorFlow."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from src.config import Config, ConfigError, refusal
from src.recording import pixels


def ensure(configs: Sequence[Config]) -> None:
    """Refuse models of factories that cannot be trained. Raises ConfigError, with each reason once."""
    models = {(c.model.factory, pixels(c), c.model.latent_dim, c.model.output_bias) for c in configs if c.model.factory}
    if not models:
        return
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        try:
            wrong = process.submit(refusals, sorted(models)).result()
        except BrokenProcessPool:
            expected = "a function whose module does not end the process"
            names = ", ".join(sorted({model[0] for model in models}))
            wrong = [refusal("model.factory", expected, names, "Correct the module.")]
    if wrong:
        raise ConfigError("\n".join(wrong))


def refusals(models: Sequence[tuple[str, int, int, str]]) -> list[str]:
    """Why models cannot be trained: (model.factory, pixels, model.latent_dim, model.output_bias) each."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from src.vae import VAE

    wrong = []
    for factory, count, latent_dim, output_bias in models:
        try:
            vae = VAE(pixels=count, latent_dim=latent_dim, factory=factory)
            if output_bias == "pixel_means":
                vae.predict_from_the_start([0.5] * count)
        except ConfigError as error:
            wrong.append(f"{error}")
    return wrong
