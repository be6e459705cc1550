"""Forked runs: the first epochs of a run, its trunk, are the same in all cells of a seed, which share its work.

    runs/.trunks/KEY/checkpoint    the state after the last epoch of a trunk, and the metrics of all its epochs

A run takes its trunk from there, or trains it and leaves it there. Only metrics of training are recorded in the trunk:
scores and probes begin after the fork. The folder only saves time and can be removed whenever no run is in a trunk.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from src import recording
from src.config import Config, EvaluationConfig, ForkConfig, ProbeConfig, title
from src.recording import Checkpointer, Runs
from src.run.metrics import training_metrics
from src.vae import EpochRecord, EpochTrainer, train

Report = Callable[[int, Mapping[str, float]], None]

log = logging.getLogger(__name__)


def trunk(config: Config) -> Config:
    """The settings of a run's first epochs, whatever it does later and however it is scored."""
    fork = config.fork
    return replace(
        config,
        epochs=fork.epochs,
        mc_samples=fork.mc_samples,
        objective="elbo",
        alpha=None,
        kl="analytic",
        gradient="reparam",
        noise="iid",
        batch_size=fork.batch_size or config.batch_size,
        learning_rate=fork.learning_rate or config.learning_rate,
        learning_rate_schedule="constant",
        fork=ForkConfig(),
        evaluation=EvaluationConfig(),
        probe=ProbeConfig(),
    )


def home(config: Config) -> Path:
    """The folder of a run's trunk, one for all that are equal bit for bit: also of one processor and its threads."""
    identity = [recording.fingerprint(trunk(config)), recording.rounding()]
    return Runs(config.tracking).trunks / hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def digest(variables: Sequence) -> int:
    """The first 48 bits of the SHA-256 over all variables, see `schema.FORK_DIGEST`; exact as a float64."""
    values = b"".join(np.asarray(variable).tobytes() for variable in variables)
    return int.from_bytes(hashlib.sha256(values).digest()[:6], "big")


def reach_fork(
    config: Config, make: Callable[[Config], EpochTrainer], checkpointer: Checkpointer, report: Report, done: int
) -> int:
    """Bring a run to the end of its trunk, which a sibling has left in its folder or this run trains.

    Args:
        config: the run's settings.
        make: the trainer of other settings, with the run's model and optimizer.
        checkpointer: the run's own.
        report: called after every epoch, counted from 1, with its metrics.
        done: epochs of the trunk that the run has behind it.
    Returns:
        the epochs that it has behind it then.
    """
    folder = home(config)
    if recording.is_held(folder):
        log.info("%s waits for its trunk, which another process trains", title(config))
    with recording.held(folder):
        kept = recording.load_checkpoint(folder)
        if kept is None:
            recorded = train_trunk(make(trunk(config)), trunk(config), checkpointer, report, done)
            if done == 0:  # the first part of a continued run may be another machine's
                Checkpointer(folder, "1", [*checkpointer.variables, np.array(recorded)]).after(config.fork.epochs)
            return config.fork.epochs
    log.info("%s takes its trunk from %s", title(config), folder)
    *values, text = kept.values
    checkpointer.assign(values)
    for epoch, metrics in list(enumerate(json.loads(str(text)), 1))[done:]:
        report(epoch, metrics)
    return kept.epoch


def train_trunk(trainer: EpochTrainer, settings: Config, checkpointer: Checkpointer, report: Report, done: int) -> str:
    """Train the epochs of a trunk that are not done; returns a JSON list of their metrics."""
    trained = []

    def on_epoch(record: EpochRecord) -> None:
        trained.append(training_metrics(record))
        report(record.epoch, trained[-1])
        checkpointer.after(record.epoch)

    train(trainer, settings, on_epoch, done)
    return json.dumps(trained)
