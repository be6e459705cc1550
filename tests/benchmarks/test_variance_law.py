"""The variance of a step against what the probe predicts, on the linear VAE, and a wrong law, which is rejected."""

from dataclasses import replace

import pytest

from benchmarks import variance_law
from benchmarks.linear_gaussian import half_trained, network, settings
from src import data
from src.config import ProbeConfig

GRID = [(1, 30), (5, 100)]


@pytest.fixture(scope="module")
def found():
    config = replace(settings(1, 30), probe=ProbeConfig(images=2000))
    dataset, vae = data.load(config.data, config.seed), network(half_trained(), config)
    return variance_law.points(vae, dataset, config, GRID, pairs=2000)


def test_minibatches_have_the_variance_that_the_probe_predicts(found):
    assert [(point.part, point.mc_samples, point.batch_size) for point in found] == [
        (part, *cell) for cell in GRID for part in variance_law.PARTS
    ]
    assert max(abs(point.z) for point in found) < 4.5
    assert all(abs(fit.factor - 1) < 4.5 * (fit.error + fit.shared) for fit in variance_law.fits(found))


def test_a_law_without_the_number_of_draws_is_rejected(found):
    """Power: what the probe predicts for K=1, B=100 is no variance of a step with K=5, B=100."""
    one, five = ({point.part: point for point in found if point.mc_samples == k} for k in (1, 5))
    wrong = {part: five[part]._replace(predicted=one[part].predicted * 30 / 100) for part in five}
    assert abs(wrong["all"].z) > 4.5


def test_tables_and_figure_show_every_point(found, tmp_path):
    assert variance_law.table(found).count("\n") == len(found) + 1
    assert variance_law.fit_table(variance_law.fits(found)).count("\n") == len(variance_law.PARTS) + 1
    drawn = variance_law.draw(found)
    assert [ax.get_title() for ax in drawn.axes] == list(variance_law.PARTS)
