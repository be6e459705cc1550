"""The ceiling of training: its matrix products at the rate of the fastest library. `python -m benchmarks.roofline NAME`
prints the rate of one library as JSON; `rates` asks all that are installed, each in a process of its own.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks import processes
from benchmarks.contenders.arrays import layers
from src.config import ModelConfig

SIZE = 1000
PRODUCT_OPERATIONS = 2 * SIZE**3
# A turn takes a third of a second on two cores; the first is not counted.
PRODUCTS, TURNS = 20, 6

Act = Callable[[], object]


def numpy_product(a: np.ndarray) -> Act:
    out = np.empty_like(a)
    return lambda: np.matmul(a, a, out=out)


def tensorflow_product(a: np.ndarray) -> Act:
    import tensorflow as tf

    resident = tf.constant(a)
    return lambda: tf.matmul(resident, resident)


def torch_product(a: np.ndarray) -> Act:
    import torch

    resident = torch.from_numpy(a)
    out = torch.empty_like(resident)
    return lambda: torch.mm(resident, resident, out=out)


def jax_product(a: np.ndarray) -> Act:
    import jax

    product, resident = jax.jit(jax.numpy.matmul), jax.numpy.array(a)
    return lambda: product(resident, resident).block_until_ready()


class Library(NamedTuple):
    """A library that multiplies matrices.

    Attributes:
        product: a matrix [n, n] -> a function that multiplies it with itself, and waits for the result.
        needs: its package.
        environment: where that is, a name of `processes.python`; None: this project's.
        variables: of the process's environment.
    """

    product: Callable[[np.ndarray], Act]
    needs: str
    environment: str | None
    variables: dict[str, str]


LIBRARIES = {
    "NumPy": Library(numpy_product, "numpy", None, {}),
    "TensorFlow": Library(tensorflow_product, "tensorflow", None, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "TensorFlow, oneDNN": Library(tensorflow_product, "tensorflow", None, {"TF_ENABLE_ONEDNN_OPTS": "1"}),
    "PyTorch": Library(torch_product, "torch", "torch", {}),
    "JAX": Library(jax_product, "jax", "jax", {}),
}


def rate(act: Act) -> float:
    """Floating-point operations per second of a product: the fastest of the turns, since noise only slows."""
    seconds = []
    for _ in range(TURNS):
        started = time.perf_counter()
        for _ in range(PRODUCTS):
            act()
        seconds.append(time.perf_counter() - started)
    return PRODUCTS * PRODUCT_OPERATIONS / min(seconds[1:])


def rates(say: Callable[[str], None]) -> dict[str, float]:
    """The rate of every library that is installed, operations per second; of one that gives none the reason is said."""
    found = {}
    for name, library in LIBRARIES.items():
        if processes.lacking(library.needs, library.environment):
            continue
        try:
            found[name] = processes.call(library.environment, "benchmarks.roofline", name, **library.variables)
        except processes.ProcessFailed as error:
            say(f"{name} gave no rate of matrix products. {error}")
    return found


def operations(model: ModelConfig, pixels: int, mc_samples: int) -> int:
    """Floating-point operations of the matrix products that an image's training step takes.

    A layer [m, n] takes m n multiply-adds, two operations each, for its output, for the gradient of its kernel and for
    that of its input, which the first layer does not need. The decoder's layers do this for each of the K draws.
    """
    sizes = [inputs * outputs for inputs, outputs in layers(model, pixels)]
    encoder = len(model.hidden_dims) + 2
    return 2 * (3 * sum(sizes[:encoder]) - sizes[0] + 3 * mc_samples * sum(sizes[encoder:]))


def main() -> None:
    matrix = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    print(json.dumps(rate(LIBRARIES[sys.argv[1]].product(matrix))))


if __name__ == "__main__":
    main()
