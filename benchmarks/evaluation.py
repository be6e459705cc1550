"""How much of the machine's matrix-product rate the test NLL reaches: `python -m benchmarks.evaluation`. See --help.

Multiply-adds are those of the decoder's matrices alone, images x draws x (2 x 256 + 256 x 784); what the evaluation
spends on anything else counts against it. NumPy's float32 product is timed beside it, in the same process, in turns.
"""

import argparse
import math
import operator
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.options import positive
from benchmarks.report import markdown, write
from benchmarks.statistics import paired_ratio, spread
from src import data
from src.config import Config, DataConfig

# Enough for NumPy's figure to settle: half a second to a second on two cores.
PRODUCT_MULTIPLY_ADDS = 5e10
SQUARE = ((1000, 1000, 1000),)
EVALUATION, BEST, SAME = "evaluation", "matmul, 1000 x 1000", "matmul, the decoder's shapes"


class Work(NamedTuple):
    """A piece of work to be timed, and the multiply-adds it stands for."""

    act: Callable[[], object]
    multiply_adds: float


class Memory(NamedTuple):
    """Peak resident memory, bytes: before the evaluator is made, after its compilation and a draw, after all."""

    before: int
    compiled: int
    after: int


def decoder_shapes(config: Config, rows: int, pixels: int) -> list[tuple[int, int, int]]:
    """[rows, inner] x [inner, columns] of the decoder's layers."""
    widths = [config.model.latent_dim, *reversed(config.model.hidden_dims), pixels]
    return [(rows, inner, columns) for inner, columns in pairwise(widths)]


def product(shapes: Sequence[tuple[int, int, int]], at_most: float) -> Work:
    """NumPy's float32 matrix products of these shapes, one after the other, again and again, without allocation."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    operands = [(normal(m, k), normal(k, n), np.empty((m, n), np.float32)) for m, k, n in shapes]
    once = sum(math.prod(shape) for shape in shapes)
    repeats = math.ceil(min(PRODUCT_MULTIPLY_ADDS, at_most) / once)

    def act() -> None:
        for _ in range(repeats):
            for a, b, out in operands:
                np.matmul(a, b, out=out)

    return Work(act, repeats * once)


def take_turns(works: dict[str, Work], rounds: int) -> dict[str, dict[int, float]]:
    """Multiply-adds per second of every work by round; the order is rotated from round to round."""
    rates: dict[str, dict[int, float]] = {name: {} for name in works}
    order = list(works)
    for number in range(rounds):
        shift = number % len(order)
        for name in order[shift:] + order[:shift]:
            started = time.perf_counter()
            works[name].act()
            rates[name][number] = works[name].multiply_adds / (time.perf_counter() - started)
    return rates


def measure(draws: int, rounds: int, images: int | None) -> tuple[dict[str, dict[int, float]], float, Memory]:
    """Rates by work and round, multiply-adds of one evaluation, and the peak memory around it."""
    from src.vae import VAE, Evaluator

    config = Config(data=DataConfig(test_size=images))
    dataset = data.load(config.data, config.seed)
    before = machine.peak_rss_bytes()
    evaluator = Evaluator(VAE.from_settings(config, dataset.test.shape[1]), dataset.test)
    evaluator.score(1)
    compiled = machine.peak_rss_bytes()
    evaluator.score(draws)
    after = machine.peak_rss_bytes()
    shapes = decoder_shapes(config, 1000, dataset.test.shape[1])
    multiply_adds = len(dataset.test) * draws * sum(inner * columns for _, inner, columns in shapes)
    works = {
        EVALUATION: Work(lambda: evaluator.score(draws), multiply_adds),
        BEST: product(SQUARE, multiply_adds),
        SAME: product(shapes, multiply_adds),
    }
    return take_turns(works, rounds), multiply_adds, Memory(before, compiled, after)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description="The test NLL's rate of multiply-adds as a fraction of NumPy's matrix product, and its memory.",
    )
    parser.add_argument("--draws", type=positive, default=200, help="importance-weighted draws per image (200)")
    parser.add_argument("--rounds", type=positive, default=5, help="times that each is timed, in turns (5)")
    parser.add_argument("--images", type=positive, help="test images (all)")
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    options = parser.parse_args(arguments)
    machine.prepare()
    description = machine.describe()
    print(machine.sentence(description), file=sys.stderr, flush=True)
    rates, multiply_adds, memory = measure(options.draws, options.rounds, options.images)
    rows = []
    for name, by_round in rates.items():
        fraction = paired_ratio(rates[EVALUATION], by_round)
        shown = "-" if name == EVALUATION or fraction is None else fraction.show(2)
        rows.append([name, spread(rate / 1e9 for rate in by_round.values()).show(1), shown])
    seconds = spread(multiply_adds / rate for rate in rates[EVALUATION].values())
    print(f"\n{options.rounds} rounds; median [lowest..highest]\n")
    print(markdown(["what", "10^9 multiply-adds/s", "evaluation / this"], rows))
    print(f"\nOne evaluation of {options.draws} draws: {seconds.show(2)} s.")
    before, compilation, draws = (bytes / 1e6 for bytes in (memory.before, *map(operator.sub, memory[1:], memory)))
    print(
        f"Peak RSS: {before:,.0f} MB before; model and compilation add {compilation:,.0f} MB, the draws {draws:,.0f}."
    )
    content = {"machine": description, "multiply_adds": multiply_adds, "memory": memory._asdict(), "rates": rates}
    write(options.output, {**content, "draws": options.draws})
    return 0


if __name__ == "__main__":
    sys.exit(main())
