"""What a run leaves in its folder beside its ledger: its settings, its history as a table, its pictures, its model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from src import schema
from src.config import Config
from src.data import Dataset
from src.recording import Recorder
from src.run import pictures
from src.vae import VAE


def save_settings(config: Config, recorder: Recorder) -> None:
    """The run's settings, with the defaults."""
    OmegaConf.save(OmegaConf.structured(config), recorder.folder / schema.CONFIG_FILE)
    recorder.log_artifact(recorder.folder / schema.CONFIG_FILE)


def save_history(recorder: Recorder) -> None:
    """The metrics of the epochs so far, one row each."""
    history = recorder.history([metric.key for metric in schema.EPOCH_METRICS])
    pd.DataFrame(history).to_parquet(recorder.folder / schema.HISTORY_FILE)
    recorder.log_artifact(recorder.folder / schema.HISTORY_FILE)


def save_artifacts(vae: VAE, dataset: Dataset, recorder: Recorder) -> None:
    """The run's pictures, in the store and its folder; the trained model, in its folder."""
    vae.save(recorder.folder / schema.MODEL_FILE)
    for name, figure in draw(vae, dataset):
        figure.savefig(recorder.folder / name, dpi=120)
        recorder.log_artifact(recorder.folder / name)


def draw(vae: VAE, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """The pictures that these latents and these data admit, with their files' names."""
    if vae.latent_dim == 2:
        q_mean = np.asarray(vae.encode(dataset.test).q_mean)
        yield schema.LATENT_FILE, pictures.latent(q_mean, dataset.test_labels)
    if dataset.image_shape is None:
        return
    shape = (-1, *dataset.image_shape)
    image = dataset.test[:1]
    yield (
        schema.RECONSTRUCTIONS_FILE,
        pictures.reconstructions(image.reshape(shape)[0], np.asarray(vae(image)).reshape(shape)),
    )
    if vae.latent_dim == 2:
        means = vae.likelihood.mean(vae.decode(pictures.manifold_grid(20)[None]))
        yield schema.MANIFOLD_FILE, pictures.manifold(np.asarray(means).reshape(shape))
