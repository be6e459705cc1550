"""Randomness by name and counter: one root seed, independent streams, no hidden state.

A number drawn depends on (seed, stream, counters) only: never on how many were drawn before it. So a resumed
run is the same run, a probe disturbs nothing, and K=1 uses the first of K=25's draws.
"""

import hashlib
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


def normal_draws(key: int, counter: Any, batch_size: int, mc_samples: int, latent_dim: int) -> Any:
    """Standard normal eps for one step, nested over K.

    The first k draws of a larger mc_samples are the draws of mc_samples=k, bit for bit: the counter-based
    generator fills [K, B, D] in order, so K comes first when drawing and is moved afterwards.

    Args:
        key: key of the stream, from `stream_key`.
        counter: int64 scalar, the step's counter; a tensor inside a compiled loop.
    Returns:
        eps, float32, [B, K, D], independent over all three axes.
    """
    import tensorflow as tf

    seed = tf.stack([tf.constant(key, tf.int64), tf.cast(counter, tf.int64)])
    draws = tf.random.stateless_normal((mc_samples, batch_size, latent_dim), seed, alg="philox")
    return tf.transpose(draws, (1, 0, 2))


def uniform_draws(key: int, counter: Any, shape: tuple[int, ...]) -> Any:
    """Uniform draws in [0, 1) for one step, float32, of the given shape."""
    import tensorflow as tf

    seed = tf.stack([tf.constant(key, tf.int64), tf.cast(counter, tf.int64)])
    return tf.random.stateless_uniform(shape, seed, alg="philox")
