"""Implementations of the same model and training: 784-256-2, relu, Bernoulli logits, analytic KL, RMSprop, float32.

Each is one function `train(config, images, report)`: it trains for `config.epochs` epochs and calls
`report(loss)` at the end of each with the epoch's mean loss. It reads its settings from `config`; `images` are uint8,
[n, pixels], and whatever it makes of them beforehand, it makes inside, so that its memory is counted.
"""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import NamedTuple

import numpy as np

from benchmarks import processes
from src.config import Config

Report = Callable[[float], None]
Train = Callable[[Config, np.ndarray, Report], None]


class Contender(NamedTuple):
    """One implementation.

    Attributes:
        entry: its function, "module:name", imported only in the process that runs it.
        what: one line for --help and the README.
        needs: the package without which it cannot run.
        environment: whose packages it runs with, a name of `processes.python`; None: this project's.
        tiles_targets: whether it holds a copy of the images for each of the K draws.
    """

    entry: str
    what: str
    needs: str = "keras"
    environment: str | None = None
    tiles_targets: bool = False

    def lacking(self) -> str | None:
        """Why it cannot run here; None where it can."""
        return processes.lacking(self.needs, self.environment)

    def load(self) -> Train:
        return resolve_name(f"{__name__}.{self.entry}")


BASELINE = "this project"
CONTENDERS = {
    BASELINE: Contender("project:train", "the whole epoch compiled, as `src.vae.training` does it"),
    "post": Contender("keras_fit:post", "Keras fit, targets tiled to [n, K, 784], no XLA", tiles_targets=True),
    "broadcast fit": Contender("keras_fit:broadcast", "Keras fit, targets [n, 1, 784], XLA"),
    "tuned fit": Contender("keras_fit:tuned", "broadcast fit with 50 steps per execution"),
    "bare loop": Contender(
        "tensorflow_loop:train", "TensorFlow without Keras, an epoch one XLA loop, only the loss kept"
    ),
    "jax": Contender("jax_scan:train", "JAX, an epoch one compiled `lax.scan`", "jax", "jax"),
    "torch": Contender("torch_loop:eager", "a plain eager loop in PyTorch", "torch", "torch"),
    "torch compiled": Contender("torch_loop:compiled", "the same with `torch.compile`", "torch", "torch"),
    "pythae": Contender("pythae_trainer:train", "pythae's trainer, its K draws, the mean as loss", "pythae", "torch"),
}
