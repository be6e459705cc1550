"""What a run trains on and probes with."""

from dataclasses import replace

import numpy as np

from src import data
from src.config import Config, DataConfig
from src.vae.epoch_order import epoch_order
from src.vae.model import VAE
from src.vae.probe import Probe
from src.vae.training import EpochTrainer
from tests.conftest import small


def used(dataset: data.Dataset) -> set[bytes]:
    """The images that a run trains on, and those that it probes with."""
    config = small()
    trainer = EpochTrainer(VAE(hidden_dims=[4]), dataset, config)
    order = epoch_order(config.seed, 1, len(dataset.train), config.batch_size)
    batches = [np.asarray(trainer.batch(np.asarray(step, np.int32), 0)) for step in order]
    return {image.tobytes() for image in np.concatenate([*batches, Probe.probe_set(dataset, 256)])}


def test_no_image_that_is_held_out_is_trained_on_or_probed_with():
    config = DataConfig(train_size=250, test_size=1)
    whole, split = (data.load(replace(config, validation_size=size), seed=0) for size in (0, 50))
    held_out = {image.tobytes() for image in split.validation}
    assert len(used(split)) == 200
    assert not used(split) & held_out
    assert used(replace(split, train=whole.train)) >= held_out  # power: a wrong split is found


def test_bytes_are_intensities_and_real_values_are_used_as_they_are(digits):
    real = data.load(DataConfig(name="linear_gaussian", pixels="real", train_size=250, test_size=10), seed=0)
    for dataset, expected in ((digits, digits.train / np.float32(255)), (real, real.train)):
        trainer = EpochTrainer(VAE(pixels=dataset.train.shape[1], hidden_dims=[4]), dataset, Config())
        batch = np.asarray(trainer.batch(np.array([3, 1, 3], np.int32), 0))
        np.testing.assert_array_equal(batch, expected[[3, 1, 3]])
