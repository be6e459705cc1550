"""Randomness by name and counter: one root seed, independent streams, no hidden state.

A number drawn depends on (seed, stream, counters) only: never on how many were drawn before it. So a resumed
run is the same run, a probe disturbs nothing, and K=1 uses the first of K=25's draws.
"""

import hashlib
import math
from typing import Any

import numpy as np

# Test draws and the test set's binarisation are common to all runs, so their root is not a run's seed.
SHARED_SEED = 0


def stream_key(seed: int, stream: str) -> int:
    """The 63-bit key of a named stream of a seed, such as "train", "shuffle" or "init/q_mean"."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, stream: str, counter: int = 0) -> np.random.Generator:
    """A NumPy generator at the start of (seed, stream, counter)."""
    return np.random.Generator(np.random.Philox(key=[stream_key(seed, stream), counter]))


def counter_of(epoch: Any, step: Any) -> Any:
    """The 64-bit counter of a step of an epoch; both below 2^31, integers or int64 tensors."""
    return epoch * 2**32 + step


def words(key: int, counter: Any, count: int) -> Any:
    """The first `count` 32-bit words of a stream's counter, uint32, [count]; fewer words are a prefix of more."""
    import tensorflow as tf

    seed = tf.stack([tf.constant(key, tf.int64), tf.cast(counter, tf.int64)])
    return tf.random.stateless_uniform((count,), seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox")


def normal_quantile(word: Any) -> Any:
    """The standard normal quantile of (word + 1/2) / 2^32 for uint32 words, float32, at 24 bits; |result| <= 5.3."""
    import tensorflow as tf

    upper = tf.bitwise.right_shift(word, 31) == 1
    body = tf.bitwise.bitwise_and(tf.bitwise.right_shift(word, 8), 2**23 - 1)
    distance = tf.where(upper, body, 2**23 - 1 - body)
    # 23 bits and a half are exact in float32, so the argument is never 0 or 1.
    magnitude = math.sqrt(2.0) * tf.math.erfinv((tf.cast(distance, tf.float32) + 0.5) * 2.0**-23)
    return tf.where(upper, magnitude, -magnitude)


def normal_draws(key: int, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Standard normal eps for one step, nested over K.

    The first k draws of a larger mc_samples are the draws of mc_samples=k: word number (k B + b) D + d of the
    stream becomes eps[b, k, d] by the inverse normal CDF, one by one. TensorFlow's own normal draws pair words in
    a way that depends on the shape and on the compiler, and are nested for some shapes only.

    Args:
        key: key of the stream, from `stream_key`.
        counter: int64 scalar, the step's counter; a tensor inside a compiled loop.
    Returns:
        eps, float32, [B, K, D], independent over all three axes.
    """
    import tensorflow as tf

    drawn = words(key, counter, mc_samples * batch_size * latent_dim)
    return tf.transpose(normal_quantile(tf.reshape(drawn, (mc_samples, batch_size, latent_dim))), (1, 0, 2))


def uniform_draws(key: int, counter: Any, shape: tuple[int, ...]) -> Any:
    """Uniform draws in [0, 1) for one step, float32, of the given shape."""
    import tensorflow as tf

    word = tf.reshape(words(key, counter, math.prod(shape)), shape)
    return tf.cast(tf.bitwise.right_shift(word, 8), tf.float32) * 2.0**-24
