"""One run from its settings to its last artifact: load, train, evaluate, record."""

import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psutil

from src import data, recording, schema
from src.config import Config, flatten, nll_kind, source_digest
from src.recording import Checkpointer, Ledger, Recorder, RunFailed, Runs, Study, titled
from src.run.artifacts import save_artifacts, save_history, save_settings
from src.run.fork import digest, reach_fork
from src.run.metrics import final_metrics, test_metrics, training_metrics, validation_metrics
from src.run.progress import EpochBar, numbered
from src.vae import Diverged, EpochRecord, Probe, is_due, programs_for, train
from src.writing import clock

log = logging.getLogger(__name__)


def run(config: Config, number: int, study: Study | None) -> None:
    """Train and record one cell, continued from where an earlier process stopped.

    Args:
        config: checked settings.
        number: the cell's number in its study, from 0.
        study: the study that the run is a cell of; None for a single run.
    Raises:
        RunFailed: the run diverged or raised.
    """
    runs, name = Runs(config.tracking), titled(config, study)
    home = runs.home(config, recording.fingerprint(config))
    if recording.is_held(home):
        log.info("%s is being run by another process; waiting until that one ends", name)
    with recording.held(home):
        ledger = attempt(config, number, runs, home, study)
        if ledger is None:
            log.info("%s was finished by another process meanwhile", name)
            return
        try:
            with recording.record(ledger, runs) as recorder:
                final = train_and_evaluate(config, recorder, EpochBar(config, study, number))
        except Diverged as error:
            log.error("%s diverged: %s", name, error)
            raise RunFailed(name) from error
        except Exception as error:
            log.exception("%s failed", name)
            raise RunFailed(name) from error
        finally:
            if ledger.status != schema.KILLED:  # only a killed run is continued
                recording.discard_checkpoints(ledger.folder)
    log.info("%s", last_line(config, study, number, final))


def attempt(config: Config, number: int, runs: Runs, home: Path, study: Study | None) -> Ledger | None:
    """The ledger to write: a new one, or that of an unfinished run; None if the cell has finished during the study.

    The caller holds the lock of the cell's home, so no other process works on an unfinished run there.
    """
    latest = next(reversed(runs.attempts(home)), None)
    if latest is not None and latest.status in (schema.RUNNING, schema.KILLED):
        log.info("%s is continued (%s)", titled(config, study), latest.folder)
        return recording.resume(latest, runs)
    if study and latest and latest.status == schema.FINISHED and latest.progress > study.before[number]:
        return None
    folder = home / str(1 + max(recording.attempt_numbers(home), default=0))
    params = {**flatten(config), **code(config), schema.NLL_KIND: nll_kind(config)}
    params[schema.DATA_DIGEST] = data.digest(config.data)
    tags = recording.tags(config) | ({schema.SWEEP: study.name} if study else {})
    return runs.begin(folder, titled(config, study), study.key if study else None, params, tags)


def code(config: Config) -> dict[str, str]:
    """The digest of the code of a factory, by which runs of different versions are different settings."""
    return {schema.FACTORY_CODE: source_digest(config.model.factory)} if config.model.factory else {}


def train_and_evaluate(config: Config, recorder: Recorder, bar: EpochBar) -> dict[str, float]:
    """The run proper, from its last checkpoint where it has one; returns its final metrics."""
    save_settings(config, recorder)
    dataset = data.load(config.data, config.seed)
    compiled = programs_for(config, dataset)
    trainer, probe = compiled.trainer(config, dataset), compiled.probe(config, dataset)
    evaluator = compiled.evaluator("test", dataset.test)
    held_out = None if dataset.validation is None else compiled.evaluator("validation", dataset.validation)
    checkpointer = Checkpointer(recorder.folder, config.checkpoint.every, compiled.variables)

    def report(epoch: int, metrics: Mapping[str, float]) -> None:
        recorder.log(metrics, epoch)
        bar.show(epoch, metrics)

    def on_epoch(record: EpochRecord) -> None:
        draws = config.evaluation.iw_samples
        metrics = training_metrics(record) | test_metrics(evaluator.score(draws)) | validation_metrics(held_out, draws)
        report(record.epoch, metrics | probed(probe, record.epoch, config))
        checkpointer.after(record.epoch)

    try:
        with bar:
            done = checkpointer.restore(len(recorder.history([schema.TRAIN_LOSS.key])))
            bar.begin(done)
            if config.fork.epochs >= max(done, 1):  # forked, and not beyond it
                make = partial(compiled.trainer, dataset=dataset)
                done = reach_fork(config, make, checkpointer, report, done)
                recorder.log({schema.FORK_DIGEST.key: digest(compiled.variables)}, done)
            elif done == 0:
                recorder.log(probed(probe, 0, config), 0)
            train(trainer, config, on_epoch, done)
    finally:
        save_history(recorder)
    save_artifacts(compiled.vae, dataset, recorder)
    final = final_metrics(evaluator, config) | cost_metrics(config, recorder)
    recorder.log(final, config.epochs)
    return final


def probed(probe: Probe, epoch: int, config: Config) -> dict[str, float]:
    """The probe's metrics where it is due after this epoch, with its time; the first one compiles. After every epoch
    the Monte Carlo part of the variance of the minibatch losses, unless there are no probes.
    """
    found = probe.loss_noise(epoch) if epoch and config.probe.epochs else {}
    if not is_due(epoch, config):
        return found
    started = time.perf_counter()
    return {**found, **probe(epoch), schema.PROBE_SECONDS.key: time.perf_counter() - started}


def cost_metrics(config: Config, recorder: Recorder) -> dict[str, float]:
    """What the run has taken: time, memory, and multiply-adds with their rate in training."""
    trained = sum(row[schema.TRAIN_SECONDS.key] for row in recorder.history([schema.TRAIN_SECONDS.key]))
    return {
        schema.RUN_SECONDS.key: recorder.seconds(),
        schema.RUN_PEAK_RSS_BYTES.key: peak_rss_bytes(),
        schema.RUN_MULTIPLY_ADDS.key: recording.multiply_adds(config),
        schema.RUN_RATE.key: recording.training_multiply_adds(config) / trained,
    }


def peak_rss_bytes() -> int:
    """Peak resident memory of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if psutil.MACOS else peak * 1024


def last_line(config: Config, study: Study | None, number: int, final: dict[str, float]) -> str:
    """The line that is printed when a run has finished."""
    nll, sem = final[schema.FINAL_TEST_NLL.key], final[schema.FINAL_TEST_NLL_SEM.key]
    scored = f"a subset of {config.evaluation.final_images} images" if config.evaluation.final_images else "images"
    return (
        f"{numbered(config, study, number)}  finished in {clock(final[schema.RUN_SECONDS.key])}  "
        f"test {nll_kind(config)} {nll:.2f} +- {sem:.2f} nats/image (SE over {scored})"
    )
