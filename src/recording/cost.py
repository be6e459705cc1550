"""What a run costs, before it starts: seconds, memory and disk.

    seconds = overhead + multiply-adds / rate

Overhead and rate are medians over earlier runs on this machine with as many threads; without any, a constant and the
machine's speed at matrix products.

The layers of a `model.factory` are not known before TensorFlow is imported. Its passes count as those of the default
perceptron, and its rate is that of earlier runs of the same factory: in these units it includes what the layers take.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice, pairwise
from statistics import median
from typing import NamedTuple

import numpy as np

from src import data, schema
from src.config import Config, by_quadrature
from src.recording.ledger import Ledger
from src.refusal import is_number

RECORDED, CALIBRATED, GUESSED = "earlier runs", "calibration", "a guess, without runs of this factory"
# Earlier runs that are looked at, the latest first.
RECENT = 50

# Measured on two cores: a run spends this outside of its multiply-adds, and trains at 0.74 to 0.78 of the rate of
# NumPy's matrix products.
OVERHEAD_SECONDS = 20.0
EFFICIENCY = 0.75

# Peaks of runs from 1,000 to 60,000 images, D = 2 to 40, B K = 100 to 150,000: within 20 % of what these give.
BASE_BYTES, DATA_COPIES = 1.2e9, 4
# The pictures and the history of the default run, in its folder and again in the store.
PICTURES_BYTES = 1.1e6
# Per parameter: float32, with two moments of the optimizer in each of two checkpoints, without in model.keras.
DISK_BYTES_PER_PARAMETER = 4 * (2 * 3 + 1)


class Cost(NamedTuple):
    """What a run is expected to take.

    Attributes:
        seconds: of the whole run.
        bytes: peak resident memory.
        source: what the seconds rest on, RECORDED, CALIBRATED or GUESSED.
    """

    seconds: float
    bytes: float
    source: str


def costs(
    configs: Sequence[Config], recorded: Iterable[Ledger], host: str, threads: str, calibrate: Callable[[], float]
) -> list[Cost]:
    """What each run will take.

    Args:
        configs: checked settings, whose data are at hand.
        recorded: earlier runs, the latest first; those count that finished on this host with these threads.
        host: this machine's name.
        threads: of every run to come, as the tag `schema.THREADS` has it.
        calibrate: multiply-adds per second of a matrix product, see `matmul_rate`; called where no run counts.
    """
    if not configs:
        return []
    runs = list(islice((run for run in recorded if is_like(run, host, threads)), RECENT))
    paces = {factory: pace(factory, runs, calibrate) for factory in {each.model.factory for each in configs}}
    found = []
    for each in configs:
        rate, overhead, source = paces[each.model.factory]
        found.append(Cost(max(overhead, 0) + multiply_adds(each) / rate, memory_bytes(each), source))
    return found


def pace(factory: str | None, recorded: Iterable[Ledger], calibrate: Callable[[], float]) -> tuple[float, float, str]:
    """Multiply-adds per second, seconds of overhead, and what both rest on, from the runs of one factory or of none."""
    runs = [run.latest() for run in recorded if run.params.get("model.factory", "None") == str(factory)]
    if not runs:
        return EFFICIENCY * calibrate(), OVERHEAD_SECONDS, GUESSED if factory else CALIBRATED
    rate = median(run[schema.RUN_RATE.key] for run in runs)
    overhead = median(run[schema.RUN_SECONDS.key] - run[schema.RUN_MULTIPLY_ADDS.key] / rate for run in runs)
    return rate, overhead, RECORDED


def is_like(run: Ledger, host: str, threads: str) -> bool:
    """Whether a run counts for others: it finished, on this host, with these threads, and recorded its cost."""
    if run.status != schema.FINISHED or run.owner.host != host or run.tags.get(schema.THREADS) != threads:
        return False
    metrics = run.latest()
    needed = [metrics.get(metric.key, 0) for metric in (schema.RUN_SECONDS, schema.RUN_MULTIPLY_ADDS, schema.RUN_RATE)]
    return all(is_number(value) and value > 0 for value in needed)


def pixels(config: Config) -> int:
    return math.prod(data.headers(config.data)[data.TRAIN].shape[1:])


def images(config: Config) -> tuple[int, int]:
    """Images to train on, and images scored after every epoch: those of the test set and those held out."""
    found = data.headers(config.data)
    train = config.data.train_size or found[data.TRAIN].shape[0]
    test, held_out = config.data.test_size or found[data.TEST].shape[0], config.data.validation_size
    return train - held_out, test + held_out


def multiply_adds(config: Config) -> float:
    """Multiply-adds of a run: of its training, and one decoder pass for every draw of a scored image after the fork.

    Quadrature is part of the overhead. Where it fails, the draws at the end are more than expected.
    """
    (_, scored), settings = images(config), config.evaluation
    final = settings.final_images or scored - config.data.validation_size
    draws = settings.iw_samples if by_quadrature(config) else settings.final_iw_samples
    passes = (config.epochs - config.fork.epochs) * settings.iw_samples * scored + draws * final
    return training_multiply_adds(config) + layer_products(config) * passes


def training_multiply_adds(config: Config) -> float:
    """Multiply-adds of the training alone: about 3 (encoder + K decoder) per image and epoch, as backward takes two.

    The epochs of a trunk count with its K, also where a run takes them from another one.
    """
    fork = config.fork
    passes = fork.epochs * (1 + fork.mc_samples) + (config.epochs - fork.epochs) * (1 + config.mc_samples)
    return layer_products(config) * images(config)[0] * 3 * passes


def layer_products(config: Config) -> int:
    """Multiply-adds of the dense layers of one encoder or decoder pass."""
    return sum(a * b for a, b in pairwise([pixels(config), *config.model.hidden_dims, config.model.latent_dim]))


def memory_bytes(config: Config) -> float:
    """Peak resident memory of a run: libraries and programs, copies of the data, the tensors of a step."""
    (train, scored), width, fork = images(config), pixels(config), config.fork
    resident = width * (train * data.headers(config.data)[data.TRAIN].dtype.itemsize + scored * 4)
    draws = max(config.batch_size * config.mc_samples, (fork.batch_size or config.batch_size) * fork.mc_samples)
    step = draws * (3 * width + sum(config.model.hidden_dims)) * 4
    return BASE_BYTES + DATA_COPIES * resident + step


def disk_bytes(config: Config) -> float:
    """What a run leaves on the disk: checkpoints, model, pictures and history."""
    width, hidden, latent = pixels(config), config.model.hidden_dims, config.model.latent_dim
    layers = [*pairwise([width, *hidden, 2 * latent]), *pairwise([latent, *reversed(hidden), width])]
    return DISK_BYTES_PER_PARAMETER * sum((a + 1) * b for a, b in layers) + PICTURES_BYTES


def matmul_rate() -> float:
    """NumPy's rate at float32 products of the decoder's shapes, multiply-adds per second; takes about 0.3 s."""
    rng = np.random.default_rng(0)
    hidden, kernel = rng.random((5000, 256), np.float32), rng.random((256, 784), np.float32)
    product, taken = hidden @ kernel, []
    for _ in range(21):
        started = time.perf_counter()
        np.matmul(hidden, kernel, out=product)
        taken.append(time.perf_counter() - started)
    return product.size * hidden.shape[1] / median(taken)
