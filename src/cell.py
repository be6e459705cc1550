"""One run from its configuration to its last artifact: load, train, evaluate, record."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import tensorflow as tf
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from src import data, moments, pictures, provenance, schema, tracking
from src.config import Config, flatten
from src.data import Dataset
from src.evaluation import Evaluator
from src.model import VAE
from src.probe import Probe, is_due
from src.progress import EpochBar
from src.sweep.study import RunFailed, Study, clock
from src.training import Diverged, EpochRecord, make_trainer, train

log = logging.getLogger(__name__)


def run(config: Config, folder: Path, number: int | None) -> None:
    """Train and record one cell.

    Args:
        config: checked settings.
        folder: the run's own folder, for its local files.
        number: the cell's number in the current study, from 0; None for a single run.
    Raises:
        RunFailed: the run diverged or raised.
    """
    study = Study.current() if number is not None else None
    name = f"K={config.mc_samples} B={config.batch_size} seed={config.seed}"
    started = time.perf_counter()
    store = tracking.Store(config.tracking)
    try:
        with store.run(name, params(config), tags(config, study)) as tracked:
            final = train_and_evaluate(config, folder, tracked, EpochBar(config, study, number))
            ended = {
                schema.RUN_SECONDS.key: time.perf_counter() - started,
                schema.RUN_PEAK_RSS_BYTES.key: peak_rss_bytes(),
            }
            tracked.log(final | ended, config.epochs)
    except Diverged as error:
        log.error("%s diverged: %s", name, error)
        raise RunFailed(name) from error
    except Exception as error:
        log.exception("%s failed", name)
        raise RunFailed(name) from error
    log.info("%s", summary(config, study, number, final | ended))


def params(config: Config) -> dict[str, object]:
    """The flattened settings, and what the NLL of these pixels is."""
    pseudo = config.likelihood == "bernoulli" and config.data.pixels == "grayscale"
    kind = schema.PSEUDO_NLL if pseudo else schema.TRUE_NLL
    return {**flatten(config), schema.NLL_KIND: kind}


def tags(config: Config, study: Study | None) -> dict[str, str]:
    """Provenance, the threads of this process, and the study's run."""
    threads = {
        "threads.intra_op": str(tf.config.threading.get_intra_op_parallelism_threads() or "default"),
        "threads.inter_op": str(tf.config.threading.get_inter_op_parallelism_threads() or "default"),
    }
    parent = {schema.PARENT_RUN: study.run_id, schema.SWEEP: study.name} if study else {}
    return {**provenance.tags(config), **threads, **parent}


def train_and_evaluate(config: Config, folder: Path, tracked: tracking.Run, bar: EpochBar) -> dict[str, float]:
    """The run proper; returns its final metrics."""
    OmegaConf.save(OmegaConf.structured(config), folder / schema.CONFIG_FILE)
    tracked.log_artifact(folder / schema.CONFIG_FILE)
    dataset = data.load(config.data, config.seed)
    vae = VAE.from_settings(config, dataset.train.shape[1])
    if config.model.output_bias == "pixel_means":
        vae.predict_from_the_start(dataset.train.mean(axis=0) / dataset.scale)
    evaluator, probe = Evaluator(vae, dataset.test), Probe(vae, dataset, config)
    history: list[dict[str, float]] = []

    def on_epoch(record: EpochRecord) -> None:
        metrics = {**training_metrics(record), **test_metrics(evaluator, config.evaluation.iw_samples)}
        history.append({schema.EPOCH.key: record.epoch, **metrics})
        tracked.log(metrics | probed(probe, record.epoch, config), record.epoch)
        bar.show(record.epoch, metrics)

    try:
        with bar:
            tracked.log(probed(probe, 0, config), 0)
            train(make_trainer(vae, dataset, config), config, on_epoch)
    finally:
        save_history(history, folder, tracked)
    save_artifacts(vae, dataset, folder, tracked)
    final = final_metrics(evaluator, config.evaluation.final_iw_samples)
    if config.evaluation.quadrature and config.model.latent_dim == 2:
        final |= quadrature_metrics(evaluator)
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


def save_history(history: list[dict[str, float]], folder: Path, tracked: tracking.Run) -> None:
    """The metrics of the epochs so far, one row each."""
    pd.DataFrame(history).to_parquet(folder / schema.HISTORY_FILE)
    tracked.log_artifact(folder / schema.HISTORY_FILE)


def save_artifacts(vae: VAE, dataset: Dataset, folder: Path, tracked: tracking.Run) -> None:
    """The run's pictures, in the store and its folder; the trained model, in its folder."""
    vae.save(folder / "model.keras")
    for name, figure in draw(vae, dataset):
        figure.savefig(folder / name, dpi=120)
        tracked.log_artifact(folder / name)


def draw(vae: VAE, dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """The pictures that these latents and these data admit, with their files' names."""
    if vae.latent_dim == 2:
        q_mean = vae.encoder.predict(dataset.test, batch_size=1000, verbose=0)[0]
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
        means = vae.likelihood.mean(vae.decoder(pictures.manifold_grid(20)[None]))
        yield schema.MANIFOLD_FILE, pictures.manifold(np.asarray(means).reshape(shape))


def summary(config: Config, study: Study | None, number: int | None, final: dict[str, float]) -> str:
    """The line that a finished run leaves."""
    place = f"cell {number + 1}/{len(study.costs)}  " if study and number is not None else ""
    kind = params(config)[schema.NLL_KIND]
    nll, sem = final[schema.FINAL_TEST_NLL.key], final[schema.FINAL_TEST_NLL_SEM.key]
    return (
        f"{place}K={config.mc_samples} B={config.batch_size} seed={config.seed}  finished in "
        f"{clock(final[schema.RUN_SECONDS.key])}  test {kind} {nll:.2f} +- {sem:.2f} nats/image (SE over images)"
    )
