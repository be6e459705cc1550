"""From what training and evaluation return to metrics by schema key."""

import logging

from src import schema
from src.vae import EpochRecord, Evaluator, Scores
from src.variance import moments

log = logging.getLogger(__name__)


def training_metrics(record: EpochRecord) -> dict[str, float]:
    """An epoch of steps; every image has the same weight."""
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


def test_metrics(scores: Scores) -> dict[str, float]:
    """The test set's scores after an epoch."""
    return {
        schema.TEST_NEG_ELBO.key: float(scores.neg_elbo.mean()),
        schema.TEST_NLL.key: float(scores.nll.mean()),
        schema.TEST_NLL_SEM.key: moments.Moments.of(scores.nll).sem,
        schema.TEST_KL.key: float(scores.kl.mean()),
    }


def final_metrics(scores: Scores, active_units: int) -> dict[str, float]:
    """The test set's scores at the end."""
    return {
        schema.FINAL_TEST_NLL.key: float(scores.nll.mean()),
        schema.FINAL_TEST_NLL_SEM.key: moments.Moments.of(scores.nll).sem,
        schema.FINAL_TEST_NEG_ELBO.key: float(scores.neg_elbo.mean()),
        schema.FINAL_TEST_KL.key: float(scores.kl.mean()),
        schema.FINAL_ACTIVE_UNITS.key: float(active_units),
    }


def quadrature_metrics(evaluator: Evaluator) -> dict[str, float]:
    """The NLL by quadrature; nothing, with a warning, where the posteriors are too narrow for a grid."""
    try:
        return {schema.FINAL_TEST_NLL_QUADRATURE.key: evaluator.quadrature().nll}
    except RuntimeError as error:
        log.warning("No quadrature: %s", error)
        return {}
