"""Implementations of the same model and training: 784-256-2, relu, Bernoulli logits, analytic KL, RMSprop, float32.

Each is one function `train(config, dataset, report)`: it trains for `config.epochs` epochs and calls
`report(loss)` at the end of each with the epoch's mean loss. It reads its settings from `config` and the images from
`dataset`; whatever it makes of them beforehand, it makes inside, so that its memory is counted.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import NamedTuple

from src.config import Config
from src.data import Dataset

Report = Callable[[float], None]
Train = Callable[[Config, Dataset, Report], None]


class Contender(NamedTuple):
    """One implementation.

    Attributes:
        entry: its function, "module:name", imported only in the process that runs it.
        what: one line for --help and the README.
        needs: the package without which it cannot run.
        tiles_targets: whether it holds a copy of the images for each of the K draws.
    """

    entry: str
    what: str
    needs: str = "keras"
    tiles_targets: bool = False

    def installed(self) -> bool:
        return find_spec(self.needs) is not None

    def load(self) -> Train:
        return resolve_name(f"{__name__}.{self.entry}")


BASELINE = "this project"
CONTENDERS = {
    BASELINE: Contender("project:train", "the whole epoch compiled, as `src.vae.training` does it"),
    "post": Contender("keras_fit:post", "Keras fit, targets tiled to [n, K, 784], no XLA", tiles_targets=True),
    "broadcast fit": Contender("keras_fit:broadcast", "Keras fit, targets [n, 1, 784], XLA"),
    "tuned fit": Contender("keras_fit:tuned", "broadcast fit with 50 steps per execution"),
    "torch": Contender("torch_loop:train", "a plain eager loop in PyTorch", needs="torch"),
}
