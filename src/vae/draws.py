"""The K draws eps of an image, from the words of a counter-based random stream. Streams and counters: `src.seeds`."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# The largest quantile, sqrt(2) erfinv(1 - 2^-24) = 5.41998, rounded up so that XLA's value of it stays as it is.
# Without XLA, TensorFlow's erfinv is infinite at this argument.
LARGEST = 5.42


def words(key: Any, counter: Any, count: int) -> Any:
    """The first `count` 32-bit words of a stream's counter, uint32, [count]; fewer words are a prefix of more."""
    seed = tf.stack([tf.convert_to_tensor(key, tf.int64), tf.cast(counter, tf.int64)])
    return tf.random.stateless_uniform((count,), seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox")


def normal_quantile(word: Any) -> Any:
    """The standard normal quantile of (word + 1/2) / 2^32, uint32 -> float32, from the word's upper 24 bits.

    Symmetric: the quantile of 2^32 - 1 - word is minus that of word. |result| <= 5.42.
    """
    upper = tf.bitwise.right_shift(word, 31) == 1
    body = tf.bitwise.bitwise_and(tf.bitwise.right_shift(word, 8), 2**23 - 1)
    distance = tf.where(upper, body, 2**23 - 1 - body)
    # 23 bits and a half are exact in float32, so the argument is never 0 or 1.
    magnitude = tf.minimum(math.sqrt(2.0) * tf.math.erfinv((tf.cast(distance, tf.float32) + 0.5) * 2.0**-23), LARGEST)
    return tf.where(upper, magnitude, -magnitude)


def normal_draws(key: Any, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Independent standard normal eps for one step, nested over K.

    The first k draws of a larger mc_samples are the draws of mc_samples=k: word number (k B + b) D + d of the
    stream becomes eps[b, k, d] by the inverse normal CDF. TensorFlow's own normal draws are nested for some shapes
    only, because XLA pairs their words in an order that depends on the shape.

    Args:
        key: key of the stream, from `seeds.stream_key`; an int or an int64 scalar.
        counter: int64 scalar, the step's counter; a tensor inside a compiled loop.
    Returns:
        eps, float32, [B, K, D], independent over all three axes.
    """
    drawn = words(key, counter, mc_samples * batch_size * latent_dim)
    return tf.transpose(normal_quantile(tf.reshape(drawn, (mc_samples, batch_size, latent_dim))), (1, 0, 2))


def uniform_draws(key: Any, counter: Any, shape: tuple[int, ...]) -> Any:
    """Independent uniform draws in [0, 1) for one step, multiples of 2^-24, float32, of the given shape."""
    word = tf.reshape(words(key, counter, math.prod(shape)), shape)
    return tf.cast(tf.bitwise.right_shift(word, 8), tf.float32) * 2.0**-24


def antithetic_draws(key: Any, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Pairs eps, -eps: [B, K, D] with eps[:, 2j+1] = -eps[:, 2j], for even K.

    The pairs are independent. The draws of a smaller even K are the first of a larger one's.
    Source: Wu, Goodman, Ermon (2019), for VAEs.
    """
    half = normal_draws(key, counter, batch_size, mc_samples // 2, latent_dim)
    return tf.reshape(tf.stack([half, -half], axis=2), (batch_size, mc_samples, latent_dim))


def sobol_draws(key: Any, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Owen-scrambled Sobol points through the inverse normal CDF, [B, K, D], for K a power of 2.

    Each image and step has its own scramble. On each axis, each of the K = 2^m strata of width 1/K holds one point.
    Scrambling flips each of the first m binary digits by a random bit that depends on the digits above. The digits
    below are independent random bits, because no two points share a stratum. Draws of different K are not nested.
    Source: Owen (1995), "Randomly permuted (t,m,s)-nets"; Buchholz, Wenzel, Mandt (2018), for variational inference.
    """
    from scipy.stats import qmc  # takes half a second to import, for this sampler alone

    levels, shape = int(math.log2(mc_samples)), (batch_size, mc_samples, latent_dim)
    points = qmc.Sobol(latent_dim, scramble=False).random_base2(levels)
    strata = (points * mc_samples).astype(np.int32)  # which of the K strata of each axis a point falls in, [K, D]
    fresh, flips = tf.unstack(tf.reshape(words(key, counter, 2 * math.prod(shape)), (2, *shape)))
    scrambled = tf.zeros(shape, tf.uint32)
    for level in range(levels):
        above = strata >> (levels - level)
        node = (1 << level) - 1 + above  # the number of the digits above in the binary tree, from its root: below K
        digit = (strata >> (levels - 1 - level)) & 1
        flip = tf.bitwise.bitwise_and(pick(flips, node), 1)
        scrambled += tf.bitwise.bitwise_xor(flip, tf.constant(digit, tf.uint32)[None]) * 2 ** (31 - level)
    return normal_quantile(scrambled + tf.bitwise.right_shift(fresh, levels))


def pick(table: Any, rows: np.ndarray) -> Any:
    """table [B, K, D], rows [K, D] -> table[b, rows[k, d], d], [B, K, D]."""
    columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    by_entry = tf.transpose(table, (1, 2, 0))
    return tf.transpose(tf.gather_nd(by_entry, np.stack([rows, columns], axis=-1)), (2, 0, 1))


class Sampler(NamedTuple):
    """A way to make the K draws of an image, and whether these are independent of each other.

    `draw` is called as `normal_draws`. Each draw by itself is standard normal, so the ELBO and its gradient stay
    unbiased. Draws of different images and steps are independent.
    """

    draw: Callable[[Any, Any, int, int, int], Any]
    independent: bool = False


SAMPLERS = {
    "iid": Sampler(normal_draws, independent=True),
    "antithetic": Sampler(antithetic_draws),
    "sobol": Sampler(sobol_draws),
}
