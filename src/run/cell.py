"""One run from its configuration to its last artifact: load, train, evaluate, record."""

import logging
import os
import time
from pathlib import Path

import psutil
from omegaconf import OmegaConf

from src import data, schema
from src.config import Config, clock, flatten, title
from src.recording import (
    Keeper,
    Ledger,
    Run,
    RunFailed,
    Runs,
    Store,
    Study,
    attempts,
    checkpoint,
    held,
    is_held,
    provenance,
    recorder,
    recording,
)
from src.run.artifacts import save_artifacts, save_history
from src.run.progress import EpochBar
from src.vae import VAE, Diverged, EpochRecord, Evaluator, Probe, is_due, make_trainer, train
from src.variance import moments

log = logging.getLogger(__name__)

THREADS = {"threads.intra_op": "TF_NUM_INTRAOP_THREADS", "threads.inter_op": "TF_NUM_INTEROP_THREADS"}


def run(config: Config, number: int | None) -> None:
    """Train and record one cell, from where an earlier process has left it.

    Args:
        config: checked settings.
        number: the cell's number in the current study, from 0; None for a single run.
    Raises:
        RunFailed: the run diverged or raised.
    """
    study = Study.current() if number is not None else None
    runs = Runs(config.tracking)
    home = runs.home(config, provenance.fingerprint(config))
    if is_held(home):
        log.info("%s is being run by another process; this one waits for it to end", title(config))
    with held(home):
        found = attempt(config, runs, home, study)
        if found is None:
            log.info("%s was finished by another process meanwhile", title(config))
            return
        try:
            with recording(found, runs, lambda: Store(config.tracking)) as tracked:
                final = train_and_evaluate(config, tracked, EpochBar(config, study, number))
        except Diverged as error:
            log.error("%s diverged: %s", title(config), error)
            raise RunFailed(title(config)) from error
        except Exception as error:
            log.exception("%s failed", title(config))
            raise RunFailed(title(config)) from error
        finally:
            if found.status != schema.KILLED:  # only what was killed is ever continued
                checkpoint.discard(found.folder)
    log.info("%s", summary(config, study, number, final))


def attempt(config: Config, runs: Runs, home: Path, study: Study | None) -> Ledger | None:
    """The ledger to write: a new one, or the one that an earlier process has left; None if the study has what it wants.

    The caller holds the cell's home, so whatever is unfinished there is nobody's.
    """
    latest = runs.latest(home)
    if latest is not None and latest.status in (schema.RUNNING, schema.KILLED):
        log.info("%s goes on from where it was left (%s)", title(config), latest.folder)
        return recorder.resume(latest, runs)
    if study and latest is not None and latest.status == schema.FINISHED and latest.ended > study.started:
        return None
    number = 1 + max(attempts(home), default=0)
    parent = study.key if study else None
    return runs.begin(home / str(number), title(config), parent, params(config), tags(config, study))


def params(config: Config) -> dict[str, object]:
    """The flattened settings, and what the NLL of these pixels is."""
    pseudo = config.likelihood == "bernoulli" and config.data.pixels == "grayscale"
    kind = schema.PSEUDO_NLL if pseudo else schema.TRUE_NLL
    return {**flatten(config), schema.NLL_KIND: kind}


def tags(config: Config, study: Study | None) -> dict[str, str]:
    """Provenance, the threads of this process, and the study's name."""
    threads = {tag: os.environ.get(variable, "default") for tag, variable in THREADS.items()}
    return {**provenance.tags(config), **threads, **({schema.SWEEP: study.name} if study else {})}


def train_and_evaluate(config: Config, tracked: Run, bar: EpochBar) -> dict[str, float]:
    """The run proper, from its last checkpoint where it has one; returns its final metrics."""
    OmegaConf.save(OmegaConf.structured(config), tracked.folder / schema.CONFIG_FILE)
    tracked.log_artifact(tracked.folder / schema.CONFIG_FILE)
    dataset = data.load(config.data, config.seed)
    vae = VAE.from_settings(config, dataset.train.shape[1])
    if config.model.output_bias == "pixel_means":
        vae.predict_from_the_start(dataset.train.mean(axis=0) / dataset.scale)
    evaluator, probe = Evaluator(vae, dataset.test), Probe(vae, dataset, config)
    trainer = make_trainer(vae, dataset, config)
    keeper = Keeper(tracked.folder, config.checkpoint.every, [*vae.variables, *trainer.optimizer.variables])

    def on_epoch(record: EpochRecord) -> None:
        metrics = {**training_metrics(record), **test_metrics(evaluator, config.evaluation.iw_samples)}
        tracked.log(metrics | probed(probe, record.epoch, config), record.epoch)
        keeper.after(record.epoch)
        bar.show(record.epoch, metrics)

    try:
        with bar:
            done = keeper.restore()
            bar.begin(done)
            if done == 0:
                tracked.log(probed(probe, 0, config), 0)
            train(trainer, config, on_epoch, done)
    finally:
        save_history(tracked)
    save_artifacts(vae, dataset, tracked)
    final = final_metrics(evaluator, config.evaluation.final_iw_samples)
    if config.evaluation.quadrature and config.model.latent_dim == 2:
        final |= quadrature_metrics(evaluator)
    final |= {schema.RUN_SECONDS.key: tracked.ledger.seconds(), schema.RUN_PEAK_RSS_BYTES.key: peak_rss_bytes()}
    tracked.log(final, config.epochs)
    return final


def training_metrics(record: EpochRecord) -> dict[str, float]:
    """An epoch of steps as schema metrics; every image weighs the same."""
    losses, images = record.steps["loss"], record.images
    return {
        schema.TRAIN_LOSS.key: moments.epoch_mean(losses, images),
        schema.TRAIN_LOSS_VARIANCE.key: moments.loss_variance(losses, images),
        schema.TRAIN_LOSS_VARIANCE_DETRENDED.key: moments.loss_variance_detrended(losses, images),
        schema.TRAIN_SPIKES.key: moments.spikes(losses, images),
        schema.TRAIN_NLL.key: moments.epoch_mean(record.steps["nll"], images),
        schema.TRAIN_KL.key: moments.epoch_mean(record.steps["kl"], images),
        schema.TRAIN_GRAD_NORM.key: moments.epoch_mean(record.steps["grad_norm"], images),
        schema.TRAIN_SECONDS.key: record.seconds,
        schema.TRAIN_IMAGES_PER_SECOND.key: float(images.sum()) / record.seconds,
    }


def test_metrics(evaluator: Evaluator, draws: int) -> dict[str, float]:
    scores = evaluator.score(draws)
    return {
        schema.TEST_NEG_ELBO.key: float(scores.neg_elbo.mean()),
        schema.TEST_NLL.key: float(scores.nll.mean()),
        schema.TEST_NLL_SEM.key: moments.Moments.of(scores.nll).sem,
        schema.TEST_KL.key: float(scores.kl.mean()),
    }


def probed(probe: Probe, epoch: int, config: Config) -> dict[str, float]:
    """The probe's metrics where it is due after this epoch, with its time; the first one compiles."""
    if not is_due(epoch, config):
        return {}
    started = time.perf_counter()
    return {**probe(epoch), schema.PROBE_SECONDS.key: time.perf_counter() - started}


def final_metrics(evaluator: Evaluator, draws: int) -> dict[str, float]:
    scores = evaluator.score(draws)
    return {
        schema.FINAL_TEST_NLL.key: float(scores.nll.mean()),
        schema.FINAL_TEST_NLL_SEM.key: moments.Moments.of(scores.nll).sem,
        schema.FINAL_TEST_NEG_ELBO.key: float(scores.neg_elbo.mean()),
        schema.FINAL_TEST_KL.key: float(scores.kl.mean()),
        schema.FINAL_ACTIVE_UNITS.key: float(evaluator.active_units()),
    }


def quadrature_metrics(evaluator: Evaluator) -> dict[str, float]:
    """The NLL by quadrature; nothing, with a warning, where the posteriors are too narrow for a grid."""
    try:
        return {schema.FINAL_TEST_NLL_QUADRATURE.key: evaluator.quadrature().nll}
    except RuntimeError as error:
        log.warning("No quadrature: %s", error)
        return {}


def peak_rss_bytes() -> int:
    """Peak resident memory of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if psutil.MACOS else peak * 1024


def summary(config: Config, study: Study | None, number: int | None, final: dict[str, float]) -> str:
    """The line that a finished run leaves."""
    place = f"cell {number + 1}/{len(study.costs)}  " if study and number is not None else ""
    kind = params(config)[schema.NLL_KIND]
    nll, sem = final[schema.FINAL_TEST_NLL.key], final[schema.FINAL_TEST_NLL_SEM.key]
    return (
        f"{place}{title(config)}  finished in "
        f"{clock(final[schema.RUN_SECONDS.key])}  test {kind} {nll:.2f} +- {sem:.2f} nats/image (SE over images)"
    )
