"""Streams and counters of random numbers."""

import numpy as np

from src import seeds


def test_streams_and_seeds_have_different_keys():
    keys = {seeds.stream_key(seed, stream) for seed in range(100) for stream in ("train", "shuffle", "eval", "probe")}
    assert len(keys) == 400
    assert all(0 <= key < 2**63 for key in keys)


def test_generators_repeat_and_differ_by_counter():
    first = seeds.generator(3, "shuffle", 1).permutation(100)
    np.testing.assert_array_equal(first, seeds.generator(3, "shuffle", 1).permutation(100))
    assert (first != seeds.generator(3, "shuffle", 2).permutation(100)).any()
    assert (first != seeds.generator(4, "shuffle", 1).permutation(100)).any()


def test_counters_of_different_steps_differ():
    counters = {seeds.counter_of(epoch, step) for epoch in range(50) for step in range(2000)}
    assert len(counters) == 50 * 2000
