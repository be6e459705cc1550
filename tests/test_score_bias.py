"""What more draws change of two models' scores: means, differences and their errors."""

import numpy as np
import pytest

from benchmarks.score_bias import levels, steps, table
from src.vae import VAE
from src.vae.evaluation import Evaluator, Scores

DRAWS = (5, 50, 500)


@pytest.fixture(scope="module")
def both():
    """The scores of two small models."""
    images = np.random.default_rng(0).random((40, 12), np.float32)
    found = []
    for seed in (0, 1):
        evaluator = Evaluator(VAE(pixels=12, hidden_dims=(6,), seed=seed), images)
        found.append([evaluator.score(number) for number in DRAWS])
    return found


def test_a_step_is_what_the_difference_of_means_changes_by(both):
    found, changes = levels(*both, DRAWS), steps(*both, DRAWS)
    for each, before, after in zip(changes, found, found[1:], strict=False):
        assert (each.draws, each.more) == (before.draws, after.draws)
        assert each.change == pytest.approx(after.difference - before.difference)
        assert each.error > 0
    assert table(found, changes).count("\n") == len(DRAWS) + 1


def test_the_error_is_over_images():
    nll = np.array([1.0, 3.0, 5.0, 3.0])
    one = [Scores(value, value, value, value, value) for value in (nll, nll - [0.0, 1.0, 2.0, 1.0])]
    still = [Scores(nll, nll, nll, nll, nll)] * 2
    (step,) = steps(one, still, (10, 100))
    assert step == (10, 100, -1.0, pytest.approx(np.sqrt(2 / 3) / 2))
