"""One contender trained once in a process of its own: `python -m benchmarks.trial JSON`, started by the others."""

import json
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from typing import NamedTuple

from benchmarks import machine
from benchmarks.contenders import CONTENDERS
from src import ROOT, data
from src.config import Config, DataConfig

STDERR_LINES = 12


class TrialFailed(RuntimeError):
    """A trial whose process did not deliver."""


class Trial(NamedTuple):
    """What to train. `epochs` counts the timed ones; one more is trained before them, which pays for compilation."""

    contender: str
    mc_samples: int
    batch_size: int
    images: int | None
    epochs: int
    seed: int

    def config(self) -> Config:
        return Config(
            mc_samples=self.mc_samples,
            batch_size=self.batch_size,
            seed=self.seed,
            epochs=self.epochs + 1,
            data=DataConfig(train_size=self.images),
        )


class Measurement(NamedTuple):
    """What a trial gave.

    Attributes:
        images: training images.
        first_epoch_seconds: from arrays in memory to the end of epoch 1: model, tiling, compilation, one epoch.
        epoch_seconds: wall time between the ends of successive epochs, all of it, from epoch 2 on.
        losses: the mean training loss of every epoch, nats per image.
        peak_rss_bytes: peak resident memory of the process.
        load_average: the machine's, over the minute before.
    """

    images: int
    first_epoch_seconds: float
    epoch_seconds: list[float]
    losses: list[float]
    peak_rss_bytes: int
    load_average: float

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
    config = trial.config()
    dataset = data.load(config.data, config.seed)
    train = CONTENDERS[trial.contender].load()
    losses: list[float] = []
    marks = [time.perf_counter()]

    def report(loss: float) -> None:
        losses.append(float(loss))
        marks.append(time.perf_counter())

    train(config, dataset, report)
    first, *others = (end - start for start, end in pairwise(marks))
    return Measurement(len(dataset.train), first, others, losses, machine.peak_rss_bytes(), load_average)


def measure_apart(trial: Trial) -> Measurement:
    """Train in a new process.

    Raises:
        TrialFailed: it ended with an error, was killed, or printed no measurement.
    """
    command = [sys.executable, "-m", "benchmarks.trial", json.dumps(trial._asdict())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    try:
        if done.returncode:
            raise ValueError(f"exit code {done.returncode}")
        return Measurement(**json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError, TypeError) as error:
        tail = "\n".join(done.stderr.splitlines()[-STDERR_LINES:])
        raise TrialFailed(
            f"{trial.contender} at K={trial.mc_samples} gave no measurement. Expected a line of JSON and exit code 0. "
            f"Received: {error}. Its last words:\n{tail}\nLeave it out by --contenders, or lower --images."
        ) from error


def main() -> None:
    machine.prepare()
    print(json.dumps(measure(Trial(**json.loads(sys.argv[1])))._asdict()))


if __name__ == "__main__":
    main()
