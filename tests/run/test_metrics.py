"""The final score: by quadrature where there is one, else by importance weighting; of the same images for all runs."""

from dataclasses import replace

import numpy as np
import pytest

from src import data, schema
from src.run import metrics
from src.vae import VAE, Evaluator
from src.variance.moments import Moments
from tests.conftest import small

BY_DRAWS = {schema.FINAL_TEST_NLL_FIFTH.key, schema.FINAL_IW_ESS.key}


def config_with(**changes):
    """A small configuration with changes of its evaluation."""
    config = small()
    return replace(config, evaluation=replace(config.evaluation, **changes))


@pytest.fixture(scope="module")
def evaluator(digits) -> Evaluator:
    vae = VAE(seed=4)
    vae.predict_from_the_start(digits.train.mean(axis=0) / digits.scale)  # so that images differ in their NLL
    return Evaluator(vae, digits.test)


@pytest.fixture
def drawn(monkeypatch) -> list[int]:
    """The numbers of draws that are asked for."""
    numbers, score = [], Evaluator.score
    monkeypatch.setattr(Evaluator, "score", lambda self, draws: numbers.append(draws) or score(self, draws))
    return numbers


def scored_images(monkeypatch, evaluator: Evaluator, config) -> np.ndarray:
    """The images whose quadrature is the final score."""
    seen, quadrature = [], Evaluator.quadrature
    monkeypatch.setattr(Evaluator, "quadrature", lambda self: seen.append(self.images) or quadrature(self))
    metrics.final_metrics(evaluator, config)
    monkeypatch.undo()
    return seen[0]


def test_with_two_latents_the_score_is_by_quadrature_and_few_draws_are_made(evaluator, drawn):
    exact = evaluator.quadrature()
    found = metrics.final_metrics(evaluator, config_with())
    assert drawn == [3]
    assert found[schema.FINAL_TEST_NLL.key] == found[schema.FINAL_TEST_NLL_QUADRATURE.key] == exact.nll
    assert found[schema.FINAL_TEST_NLL_SEM.key] == Moments.of(exact.per_image).sem
    assert found[schema.FINAL_TEST_NEG_ELBO.key] == evaluator.score(3).neg_elbo.mean()
    assert not BY_DRAWS & set(found)


def test_without_quadrature_the_score_is_by_importance_weighting(evaluator, drawn):
    found = metrics.final_metrics(evaluator, config_with(quadrature=False, final_iw_samples=10))
    assert drawn == [10]
    scores = evaluator.score(10)
    assert found[schema.FINAL_TEST_NLL.key] == scores.nll.mean()
    assert found[schema.FINAL_TEST_NLL_FIFTH.key] == pytest.approx(evaluator.score(2).nll.mean())
    assert found[schema.FINAL_IW_ESS.key] == scores.ess.mean()
    assert schema.FINAL_TEST_NLL_QUADRATURE.key not in found


def test_other_latents_have_no_quadrature(digits):
    config = config_with()
    config.model.latent_dim = 3
    found = metrics.final_metrics(Evaluator(VAE(latent_dim=3), digits.test), config)
    assert set(found) >= BY_DRAWS
    assert schema.FINAL_TEST_NLL_QUADRATURE.key not in found


def test_where_quadrature_fails_the_score_is_by_importance_weighting_and_that_is_said(
    evaluator, drawn, monkeypatch, caplog
):
    def fail(_: Evaluator) -> None:
        raise RuntimeError("Quadrature did not converge")

    monkeypatch.setattr(Evaluator, "quadrature", fail)
    found = metrics.final_metrics(evaluator, config_with())
    assert drawn == [5]
    assert "The final NLL is by importance weighting. Quadrature did not converge" in caplog.text
    assert set(found) >= BY_DRAWS
    assert schema.FINAL_TEST_NLL_QUADRATURE.key not in found


def test_a_subset_is_the_same_for_all_runs_nested_and_mixed(monkeypatch, evaluator):
    config = config_with(final_images=30)
    first = scored_images(monkeypatch, evaluator, config)
    assert len(first) == 30
    other = replace(config, seed=7, mc_samples=5)
    loaded = data.load(other.data, other.seed).test
    again = Evaluator(VAE.from_settings(other, 784), loaded)
    np.testing.assert_array_equal(scored_images(monkeypatch, again, other), first)
    fewer = scored_images(monkeypatch, evaluator, config_with(final_images=10))
    np.testing.assert_array_equal(fewer, first[:10])
    assert len(np.unique(np.concatenate([evaluator.images, first]), axis=0)) == len(evaluator.images)
    assert (first != evaluator.images[:30]).any()


def test_the_score_of_a_subset_is_the_mean_over_it(monkeypatch, evaluator):
    config = config_with(final_images=30)
    subset = scored_images(monkeypatch, evaluator, config)
    rows = [int(np.flatnonzero((evaluator.images == image).all(axis=1))[0]) for image in subset]
    per_image = evaluator.quadrature().per_image
    found = metrics.final_metrics(evaluator, config)
    assert found[schema.FINAL_TEST_NLL.key] == pytest.approx(per_image[rows].mean(), abs=0.02)
    assert abs(found[schema.FINAL_TEST_NLL.key] - per_image.mean()) > 0.1  # power: the mean over all is another one
    assert found[schema.FINAL_ACTIVE_UNITS.key] == evaluator.active_units()
