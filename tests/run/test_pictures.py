"""What the pictures draw."""

import numpy as np
import pytest
from scipy.stats import norm

from src.run import pictures

RNG = np.random.default_rng(0)


def test_tiles_stand_row_by_row_with_blanks_at_the_end():
    images = np.stack([np.full((2, 1), value) for value in (1.0, 2.0, 3.0)])
    np.testing.assert_array_equal(pictures.tiles(images, 2), [[1, 2], [1, 2], [3, 0], [3, 0]])


@pytest.mark.parametrize(("mc_samples", "side"), [(1, 28), (5, 84), (25, 140)])
def test_reconstructions_show_the_digit_and_its_k_means(mc_samples, side):
    image, means = RNG.random((28, 28)), RNG.random((mc_samples, 28, 28))
    left, right = pictures.reconstructions(image, means).axes
    np.testing.assert_array_equal(left.images[0].get_array(), image)
    assert right.images[0].get_array().shape[1] == side
    np.testing.assert_array_equal(right.images[0].get_array()[:28, :28], means[0])
    assert right.get_title().endswith(f"K={mc_samples}")


def test_the_latent_plane_shows_every_image_in_its_class():
    q_mean, labels = RNG.normal(size=(50, 2)), np.arange(50) % 10
    axes = pictures.latent(q_mean, labels).axes[0]
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), q_mean)
    np.testing.assert_array_equal(axes.collections[0].get_array(), labels)
    uncoloured = pictures.latent(q_mean, None)
    assert uncoloured.axes[0].collections[0].get_array() is None
    assert len(uncoloured.axes) == 1  # no colour bar


def test_the_manifold_grid_has_equal_prior_mass_and_z2_upwards():
    grid = pictures.manifold_grid(4).reshape(4, 4, 2)
    np.testing.assert_allclose(norm.cdf(grid[0, :, 0]), [0.125, 0.375, 0.625, 0.875], rtol=1e-5)
    assert (np.diff(grid[:, 0, 1]) < 0).all()
    axes = pictures.manifold(RNG.random((16, 28, 28))).axes[0]
    assert axes.images[0].get_array().shape == (112, 112)
