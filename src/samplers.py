"""Ways to draw the K eps of an image: independent, in antithetic pairs, or as scrambled Sobol points.

All have the signature of `noise.normal_draws` and standard normal marginals, so ELBO and gradients stay unbiased.
"""

import math
from functools import cache
from typing import Any

import numpy as np

from src import noise


def antithetic_draws(key: int, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Pairs eps, -eps: [B, K, D] with eps[:, 2j+1] = -eps[:, 2j], for even K.

    Nested over even K: the pairs of a smaller K come first.
    Source: Wu, Goodman, Ermon (2019), for VAEs.
    """
    import tensorflow as tf

    half = noise.normal_draws(key, counter, batch_size, mc_samples // 2, latent_dim)
    return tf.reshape(tf.stack([half, -half], axis=2), (batch_size, mc_samples, latent_dim))


@cache
def sobol_strata(mc_samples: int, latent_dim: int) -> np.ndarray:
    """Which of the K equal strata of each axis the k-th Sobol point falls in, int32, [K, D]; K a power of 2."""
    from scipy.stats import qmc

    points = qmc.Sobol(latent_dim, scramble=False).random_base2(int(math.log2(mc_samples)))
    return np.floor(points * mc_samples).astype(np.int32)


def sobol_draws(key: int, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Owen-scrambled Sobol points through the inverse normal CDF, [B, K, D], for K a power of 2.

    Every image and step has a scramble of its own. Each axis of the first K = 2^m points holds one point in every
    stratum of width 1/K. Nested uniform scrambling flips the digit at level l by a random bit that depends on the
    digits above it, here for the first m binary digits; the digits below are fresh, as strata are not shared.
    Draws of different K are not nested.
    Source: Owen (1995), "Randomly permuted (t,m,s)-nets"; Buchholz, Wenzel, Mandt (2018), for variational inference.
    """
    import tensorflow as tf

    levels = int(math.log2(mc_samples))
    strata = sobol_strata(mc_samples, latent_dim)
    shape = (batch_size, mc_samples, latent_dim)
    drawn = noise.words(key, counter, 2 * math.prod(shape))
    fresh, flips = (tf.reshape(part, shape) for part in tf.split(drawn, 2))
    scrambled = tf.zeros(shape, tf.uint32)
    for level in range(levels):
        above = strata >> (levels - level)
        node = (1 << level) - 1 + above  # the tree's node at this level, numbered from its root: below K
        digit = (strata >> (levels - 1 - level)) & 1
        flip = tf.bitwise.bitwise_and(pick(flips, node), 1)
        scrambled += tf.bitwise.bitwise_xor(flip, tf.constant(digit, tf.uint32)[None]) * 2 ** (31 - level)
    return noise.normal_quantile(scrambled + tf.bitwise.right_shift(fresh, levels))


def pick(table: Any, rows: np.ndarray) -> Any:
    """table [B, K, D], rows [K, D] -> table[b, rows[k, d], d], [B, K, D]."""
    import tensorflow as tf

    columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    by_entry = tf.transpose(table, (1, 2, 0))
    return tf.transpose(tf.gather_nd(by_entry, np.stack([rows, columns], axis=-1)), (2, 0, 1))


SAMPLERS = {"iid": noise.normal_draws, "antithetic": antithetic_draws, "sobol": sobol_draws}
