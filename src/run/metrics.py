"""From what training and evaluation return to metrics by schema key."""

import logging

import numpy as np

from src import schema
from src.config import Config, by_quadrature
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


def validation_metrics(held_out: Evaluator | None, draws: int) -> dict[str, float]:
    """The NLL of the images that are held out of training; nothing where there are none."""
    return {schema.VALIDATION_NLL.key: float(held_out.score(draws).nll.mean())} if held_out else {}


def final_metrics(evaluator: Evaluator, config: Config) -> dict[str, float]:
    """The score: the NLL by quadrature where there is one, else by importance weighting with what tells its bias.

    The bound and the KL are unbiased at any number of draws, so that beside quadrature few will do.
    """
    settings = config.evaluation
    scored = evaluator.subset(settings.final_images)
    exact = quadrature(scored) if by_quadrature(config) else None
    scores = scored.score(settings.final_iw_samples if exact is None else settings.iw_samples)
    nll = scores.nll if exact is None else exact
    metrics = {
        schema.FINAL_TEST_NLL.key: float(nll.mean()),
        schema.FINAL_TEST_NLL_SEM.key: moments.Moments.of(nll).sem,
        schema.FINAL_TEST_NEG_ELBO.key: float(scores.neg_elbo.mean()),
        schema.FINAL_TEST_KL.key: float(scores.kl.mean()),
        schema.FINAL_ACTIVE_UNITS.key: evaluator.active_units(),
    }
    if exact is not None:
        return metrics | {schema.FINAL_TEST_NLL_QUADRATURE.key: float(exact.mean())}
    return metrics | {
        schema.FINAL_TEST_NLL_FIFTH.key: float(scores.nll_fifth.mean()),
        schema.FINAL_IW_ESS.key: float(scores.ess.mean()),
    }


def quadrature(evaluator: Evaluator) -> np.ndarray | None:
    """The NLL of every image by quadrature; None, with a warning, where the posteriors are too narrow for a grid."""
    try:
        return evaluator.quadrature().per_image
    except RuntimeError as error:
        log.warning("The final NLL is by importance weighting. %s", error)
        return None
