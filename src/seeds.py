"""From one seed to named streams of random numbers, without hidden state.

A number depends on (seed, stream, counter) only, never on how many were drawn before it. So a resumed run is the same
run, a probe changes nothing, and K=1 uses the first of K=25's draws.
"""

import hashlib
from typing import Any

import numpy as np

# The seed of what all runs share: test draws, the test set's binarisation, subsets and probe images.
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
