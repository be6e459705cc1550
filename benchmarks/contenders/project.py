"""This project through its public API."""

import numpy as np

from benchmarks.contenders import Report
from src.config import Config
from src.data import Dataset
from src.vae import VAE, EpochRecord, make_trainer
from src.vae import train as train_epochs


def train(config: Config, images: np.ndarray, report: Report) -> None:
    """Train through `VAE`, `make_trainer` and `train`."""

    def on_epoch(record: EpochRecord) -> None:
        report(float(np.average(record.steps["loss"], weights=record.images)))

    dataset = Dataset(images, images[:0], None, redraw=False, image_shape=None)
    vae = VAE.from_settings(config, images.shape[1])
    train_epochs(make_trainer(vae, dataset, config), config, on_epoch)
