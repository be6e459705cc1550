"""Models that several tests share."""

from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from src import schema
from src.config import Config, DataConfig
from src.vae.model import VAE, Terms, reparameterize
from tests.oracles.linear_gaussian import LinearGaussianVAE

IMAGES, PIXELS, LATENT = 6, 5, 2


def terms(vae: VAE, x: Any, eps: Any) -> Terms:
    """The terms of the bounds at given draws: x [B, pixels], eps [B, K, D]."""
    q = vae.encode(x)
    z = reparameterize(q, eps)
    return vae.terms_at(x, q, z, eps, vae.decoder(z), vae.log_var)


def linear_vae() -> tuple[VAE, LinearGaussianVAE, np.ndarray]:
    """A linear VAE whose weights are those of an oracle away from any optimum, and data for both."""
    rng = np.random.default_rng(5)
    W, V = rng.normal(size=(PIXELS, LATENT)), 0.3 * rng.normal(size=(LATENT, PIXELS))
    mu, delta, s2 = rng.normal(size=PIXELS), np.array([0.6, 0.9]), 0.7
    oracle = LinearGaussianVAE(W=W, mu=mu, s2=s2, V=V, delta=delta)
    vae = VAE(pixels=PIXELS, hidden_dims=(), latent_dim=LATENT, likelihood="gaussian")
    vae.encoder.get_layer("q_mean").set_weights([V.T, -V @ mu])
    vae.encoder.get_layer("q_log_var").set_weights([np.zeros((PIXELS, LATENT)), 2 * np.log(delta)])
    vae.decoder.get_layer("output").set_weights([W.T, mu])
    vae.log_var.assign(np.log(s2))
    return vae, oracle, (mu + 1.5 * rng.normal(size=(IMAGES, PIXELS))).astype(np.float32)


def saved(vae: VAE, folder: Path) -> Path:
    """The file of a model as a run leaves it: with settings beside it, of a small run."""
    folder.mkdir(exist_ok=True)
    vae.save(folder / schema.MODEL_FILE)
    run = Config(batch_size=50, optimizer="adam", data=DataConfig(train_size=300, test_size=10, pixels="dynamic"))
    OmegaConf.save(OmegaConf.structured(run), folder / schema.CONFIG_FILE)
    return folder / schema.MODEL_FILE


LINEAR_VAE, ORACLE, X = linear_vae()
