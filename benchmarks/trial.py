"""One contender trained once in a process of its own: `python -m benchmarks.trial JSON`, started by the others."""

import json
import os
import statistics
import sys
import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from benchmarks import machine, processes
from benchmarks.contenders import CONTENDERS
from src.config import Config


class TrialFailed(RuntimeError):
    """A trial whose process did not deliver."""


class Trial(NamedTuple):
    """What to train. `epochs` counts the timed ones; one more is trained before them, which pays for compilation.

    Attributes:
        images: a file of NumPy's with the training images, uint8, [n, pixels].
    """

    contender: str
    mc_samples: int
    batch_size: int
    images: str
    epochs: int
    seed: int

    def config(self) -> Config:
        return Config(mc_samples=self.mc_samples, batch_size=self.batch_size, seed=self.seed, epochs=self.epochs + 1)


class Measurement(NamedTuple):
    """What a trial gave.

    Attributes:
        images: training images.
        first_epoch_seconds: from arrays in memory to the end of epoch 1: model, tiling, compilation, one epoch.
        epoch_seconds: wall time between the ends of successive epochs, all of it, from epoch 2 on.
        losses: the mean training loss of every epoch, nats per image.
        peak_rss_bytes: peak resident memory of the process.
        load_average: the machine's, over the minute before.
        versions: of the packages that compute, in the process's environment.
    """

    images: int
    first_epoch_seconds: float
    epoch_seconds: list[float]
    losses: list[float]
    peak_rss_bytes: int
    load_average: float
    versions: dict[str, str]

    @property
    def seconds_per_epoch(self) -> float:
        """The median: Keras spends up to two seconds more at the start of some epochs, most often of epoch 2."""
        return statistics.median(self.epoch_seconds)

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds_per_epoch


def measure(trial: Trial) -> Measurement:
    """Train in this process. The clock is read by the same few lines for every contender."""
    load_average = os.getloadavg()[0]
    images = np.load(trial.images)
    train = CONTENDERS[trial.contender].load()
    losses: list[float] = []
    marks = [time.perf_counter()]

    def report(loss: float) -> None:
        losses.append(float(loss))
        marks.append(time.perf_counter())

    train(trial.config(), images, report)
    first, *others = (end - start for start, end in pairwise(marks))
    return Measurement(len(images), first, others, losses, machine.peak_rss_bytes(), load_average, machine.versions())


def measure_apart(trial: Trial) -> Measurement:
    """Train in a new process, in the contender's environment.

    Raises:
        TrialFailed: it ended with an error, was killed, or printed no measurement.
    """
    environment = CONTENDERS[trial.contender].environment
    try:
        return Measurement(**processes.call(environment, "benchmarks.trial", json.dumps(trial._asdict())))
    except (processes.ProcessFailed, TypeError) as error:
        raise TrialFailed(
            f"{trial.contender} at K={trial.mc_samples}, B={trial.batch_size} gave no measurement. {error}\n"
            "Leave it out by --contenders, or lower --images."
        ) from error


def main() -> None:
    machine.prepare()
    print(json.dumps(measure(Trial(**json.loads(sys.argv[1])))._asdict()))


if __name__ == "__main__":
    main()
