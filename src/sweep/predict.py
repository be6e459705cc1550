"""What a cell will take, said before anything is started: seconds, memory and disk.

Earlier runs of the same setting on this machine know best; then earlier runs of other settings, by their
multiply-adds; then the machine's speed at matrix products.
"""

import math
import time
from ast import literal_eval
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from src import data, schema
from src.config import Config, DataConfig, EvaluationConfig, ModelConfig, flatten
from src.sweep.past import Past

REPEATED = "earlier runs of this setting"
SCALED = "earlier runs, scaled"
CALIBRATED = "calibration"
THREADS = "threads.intra_op"

# Measured on two cores: benchmarks/README.md. A run imports, compiles, integrates and draws besides training, and
# trains at 0.74 to 0.78 of the rate of NumPy's matrix products.
OVERHEAD_SECONDS = 20.0
EFFICIENCY = 0.75
# The line through earlier runs is trusted up to this many times the largest of them. Its overhead is trusted where
# the largest is this many times the smallest.
REACH, SPREAD = 10, 2
# Rounds of reweighting, and the deviation in seconds below which a run's weight grows no further.
ROUNDS, CLOSE = 50, 0.01

# Peaks of runs from 1,000 to 60,000 images, D = 2 to 40, B K = 100 to 150,000: within 20 % of what these give.
BASE_BYTES, DATA_COPIES = 1.2e9, 4
# The pictures and the history of the default run, in its folder and again in the store.
PICTURES_BYTES = 1.1e6
# Per parameter: float32, with two moments of the optimizer in each of two checkpoints, without in model.keras.
DISK_BYTES_PER_PARAMETER = 4 * (2 * 3 + 1)

DEFAULTS = {key: str(value) for key, value in flatten(Config()).items()}
SETTINGS = tuple(key for key in DEFAULTS if key not in (schema.SEED.key, *schema.MACHINERY))


class Prediction(NamedTuple):
    """What a cell is expected to take.

    Attributes:
        seconds: of the whole run.
        bytes: peak resident memory.
        source: what this rests on: REPEATED, SCALED or CALIBRATED.
    """

    seconds: float
    bytes: float
    source: str


class Line(NamedTuple):
    """Seconds of a run as overhead + slope x cost, known from runs of a cost up to `longest`."""

    overhead: float
    slope: float
    longest: float

    def covers(self, work: float) -> bool:
        return self.slope > 0 and work <= REACH * self.longest


def predict(
    configs: Sequence[Config], past: Iterable[Past], host: str, calibrate: Callable[[], float], threads: str
) -> list[Prediction]:
    """What each cell will take, by the best source there is for it.

    Args:
        configs: checked settings, whose data are at hand.
        past: the runs of the store; those that finished on this machine with these threads count.
        host: this machine, as the tag machine.host has it.
        calibrate: multiply-adds per second that one run can hope for, see `matmul_rate`; called once, where needed.
        threads: of every run to come, as the tag threads.intra_op has it.
    """
    runs = [run for run in past if counts(run, host, threads)]
    replicates = defaultdict(list)
    for run in runs:
        replicates[setting(run.params)].append(run)
    line = fitted(runs)
    highest = max(map(peak, runs), default=0.0)
    rate = cache(calibrate)

    def one(config: Config) -> Prediction:
        if repeats := replicates.get(setting(texts(config))):
            return Prediction(median(map(seconds, repeats)), max(map(peak, repeats)), REPEATED)
        work, memory = cost(config), max(highest, memory_bytes(config))
        if line and line.covers(work):
            return Prediction(line.overhead + line.slope * work, memory, SCALED)
        return Prediction(OVERHEAD_SECONDS + work / (EFFICIENCY * rate()), memory, CALIBRATED)

    return [one(config) for config in configs]


def counts(run: Past, host: str, threads: str) -> bool:
    """Whether a run tells what others will take here: it finished, on this machine, with these threads."""
    here = run.tags.get(schema.HOST) == host and run.tags.get(THREADS) == threads
    measured = {schema.RUN_SECONDS.key, schema.RUN_PEAK_RSS_BYTES.key} <= run.metrics.keys()
    return run.status == schema.FINISHED and here and measured


def seconds(run: Past) -> float:
    return run.metrics[schema.RUN_SECONDS.key]


def peak(run: Past) -> float:
    return run.metrics[schema.RUN_PEAK_RSS_BYTES.key]


def texts(config: Config) -> dict[str, str]:
    """The settings as a store gives them back."""
    return {key: str(value) for key, value in flatten(config).items()}


def setting(params: Mapping[str, str]) -> tuple[str, ...]:
    """What replicates share: everything but the seed and the machinery. What was not recorded had its default."""
    return tuple(params.get(key, DEFAULTS[key]) for key in SETTINGS)


def fitted(runs: Sequence[Past]) -> Line | None:
    """The line through earlier runs; None where there are none whose cost is known."""
    distinct = {setting(run.params): run.params for run in runs}
    known = {key: cost_of(params) for key, params in distinct.items()}
    points = [(work, seconds(run)) for run in runs if (work := known[setting(run.params)]) is not None]
    return fit(*np.array(points).T) if points else None


def fit(costs: np.ndarray, times: np.ndarray) -> Line:
    """The line of least absolute deviations with overhead, slope >= 0, which one stray run among several does not move.

    Least absolute deviations are least squares, each weighted by the inverse of its own deviation, repeated. Costs
    too close together leave the overhead to OVERHEAD_SECONDS and tell the slope alone.

    Args:
        costs: multiply-adds of each run, [n].
        times: seconds of each run, [n].
    """
    from scipy.optimize import nnls

    longest = float(costs.max())
    if longest < SPREAD * costs.min():
        return Line(OVERHEAD_SECONDS, float(np.median(np.maximum(times - OVERHEAD_SECONDS, 0) / costs)), longest)
    terms = np.column_stack([np.ones_like(costs), costs / longest])
    line, weights = np.zeros(2), np.ones_like(times)
    for _ in range(ROUNDS):
        line, _ = nnls(terms * weights[:, None], times * weights)
        weights = 1 / np.sqrt(np.maximum(np.abs(terms @ line - times), CLOSE))
    return Line(float(line[0]), float(line[1] / longest), longest)


def cost_of(params: Mapping[str, str]) -> float | None:
    """The cost of an earlier run; None where its settings cannot be read or its data are gone."""
    try:
        return cost(config_of(params))
    except (ValueError, SyntaxError):
        return None


def config_of(params: Mapping[str, str]) -> Config:
    """What the cost of a run depends on, read from its recorded settings; the rest is as by default."""
    recorded = {**DEFAULTS, **params}

    def read(key: str) -> Any:
        return literal_eval(recorded[key])

    path = None if recorded["data.path"] == "None" else recorded["data.path"]
    return Config(
        mc_samples=read("mc_samples"),
        epochs=read("epochs"),
        data=DataConfig(
            name=recorded["data.name"],
            path=path,
            train_size=read("data.train_size"),
            test_size=read("data.test_size"),
        ),
        model=ModelConfig(hidden_dims=read("model.hidden_dims"), latent_dim=read("model.latent_dim")),
        evaluation=EvaluationConfig(read("evaluation.iw_samples"), read("evaluation.final_iw_samples")),
    )


def pixels(config: Config) -> int:
    return math.prod(data.shape(config.data, "train_images")[1:])


def images(config: Config) -> tuple[int, int]:
    """Training and test images."""
    train = config.data.train_size or data.available(config.data, "train_images")
    return train, config.data.test_size or data.available(config.data, "test_images")


def cost(config: Config) -> float:
    """Multiply-adds of a run: dense layers forward, and twice that again backward.

    Training costs about 3 (encoder + K decoder) per image and epoch, a test draw one decoder pass.
    """
    train, test = images(config)
    widths = [pixels(config), *config.model.hidden_dims, config.model.latent_dim]
    passes = sum(a * b for a, b in pairwise(widths))
    draws = config.epochs * config.evaluation.iw_samples + config.evaluation.final_iw_samples
    return passes * (config.epochs * train * 3 * (1 + config.mc_samples) + test * draws)


def memory_bytes(config: Config) -> float:
    """Peak resident memory of a run: libraries and programs, copies of the data, the tensors of a step."""
    (train, test), width = images(config), pixels(config)
    resident = width * (train * (4 if config.data.pixels == "real" else 1) + test * 4)
    step = config.batch_size * config.mc_samples * (3 * width + sum(config.model.hidden_dims)) * 4
    return BASE_BYTES + DATA_COPIES * resident + step


def parameters(config: Config) -> int:
    """Weights and biases of encoder and decoder."""
    width, hidden, latent = pixels(config), config.model.hidden_dims, config.model.latent_dim
    layers = [*pairwise([width, *hidden, 2 * latent]), *pairwise([latent, *reversed(hidden), width])]
    return sum((a + 1) * b for a, b in layers)


def disk_bytes(config: Config) -> float:
    """What a run leaves on the disk: checkpoints, model, pictures and history."""
    return DISK_BYTES_PER_PARAMETER * parameters(config) + PICTURES_BYTES


def matmul_rate() -> float:
    """NumPy's rate at float32 products of the decoder's shapes, multiply-adds per second; takes about 0.3 s."""
    rng = np.random.default_rng(0)
    hidden, kernel = rng.random((5000, 256), np.float32), rng.random((256, 784), np.float32)
    product, taken = hidden @ kernel, []
    for _ in range(21):
        started = time.perf_counter()
        np.matmul(hidden, kernel, out=product)
        taken.append(time.perf_counter() - started)
    return product.size * hidden.shape[1] / median(taken)
