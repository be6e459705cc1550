"""Training: a whole epoch is one XLA-compiled call, which is one `train_step` of Keras `fit`.

With one call per step, overhead takes most of the time of a model of this size. Here the images stay in memory, and
`fit` gets one batch per epoch: the order of its images. Order and noise are functions of (seed, epoch, step, draw), see
`src.seeds` and `src.vae.draws`. A smaller last batch is padded with images of weight 0 (`src.vae.epoch_order`).
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from src import schema, seeds
from src.config import Config
from src.data import Dataset
from src.vae import draws, gradients
from src.vae.epoch_order import PADDING, epochs_from
from src.vae.model import VAE

# A process makes programs for several K, B and models. TensorFlow takes them for one that is traced again and again.
tf.get_logger().addFilter(lambda record: "triggered tf.function retracing" not in record.getMessage())

STEP_STATISTICS = ("loss", "nll", "kl", "grad_norm")


class Diverged(RuntimeError):
    """A loss or a gradient that is not finite."""

    status = schema.DIVERGED


class EpochRecord(NamedTuple):
    """The record of a trained epoch, counted from 1.

    Attributes:
        steps: one array [T] for each of STEP_STATISTICS, float64, nats per image.
        images: images in each step, [T].
        seconds: wall time of the compiled call, without compilation.
    """

    epoch: int
    steps: dict[str, np.ndarray]
    images: np.ndarray
    seconds: float


def global_norm(tensors: list[Any]) -> Any:
    """The Euclidean norm of all elements, by the norms of columns.

    XLA adds up in the order of the program: one long sum is one chain of additions, those of columns go side by side.
    """
    columns = [tf.reshape(tensor, (-1, (1, *tensor.shape)[-1])) for tensor in tensors]
    return tf.linalg.global_norm([tf.linalg.norm(values, axis=0) for values in columns])


class Inputs:
    """What differs between the seeds of one program: the training images and the keys of random streams.

    They are variables, and so inputs of a compiled epoch; as constants they would be compiled into it.
    """

    def __init__(self, dataset: Dataset, seed: int):
        self.images = tf.Variable(dataset.train, trainable=False)
        self.noise_key, self.binarize_key = (tf.Variable(0, trainable=False, dtype=tf.int64) for _ in range(2))
        self.feed(dataset, seed)

    def feed(self, dataset: Dataset, seed: int) -> None:
        """Go on with the images of another data set of the same shape, and with the random numbers of a seed."""
        self.images.assign(dataset.train)
        self.noise_key.assign(seeds.stream_key(seed, "train"))
        self.binarize_key.assign(seeds.stream_key(seed, "binarize/train"))


class EpochTrainer(keras.Model):
    """A Keras model whose `train_step` is a whole epoch of a VAE's training."""

    def __init__(self, vae: VAE, dataset: Dataset, config: Config, inputs: Inputs | None = None):
        super().__init__(name="epoch_trainer")
        self.vae, self.redraw = vae, dataset.redraw
        self.feeds = inputs or Inputs(dataset, config.seed)
        self.mc_samples = config.mc_samples
        self.sampler = draws.SAMPLERS[config.noise]
        self.estimator = gradients.Estimator.from_settings(config)
        self.built = True

    def batch(self, rows: Any, counter: Any) -> Any:
        """The data of a step, float32, [B, pixels]: bytes scaled to [0, 1], binarised for `Dataset.redraw`."""
        images = self.feeds.images
        x = ops.cast(ops.take(images, ops.maximum(rows, 0), axis=0), "float32")
        if images.dtype == tf.uint8:
            x = x / 255.0
        if not self.redraw:
            return x
        return ops.cast(draws.uniform_draws(self.feeds.binarize_key, counter, tuple(x.shape)) < x, "float32")

    def step(self, rows: Any, counter: Any) -> Any:
        """One update of the weights; returns STEP_STATISTICS, [4]."""
        x = self.batch(rows, counter)
        present = ops.cast(rows != PADDING, "float32")
        weights = present / ops.sum(present)
        eps = self.sampler.draw(self.feeds.noise_key, counter, rows.shape[0], self.mc_samples, self.vae.latent_dim)
        estimate = gradients.estimate(self.estimator, self.vae, x, weights, eps)
        self.optimizer.apply(estimate.gradients, gradients.variables_of(self.vae))
        return ops.stack([estimate.loss, estimate.nll, estimate.kl, global_norm(estimate.gradients)])

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tuple[Any, Any]) -> dict[str, Any]:
        """One epoch: the mean of the loss over steps, and STEP_STATISTICS of every step, [T, 4].

        Args:
            data: the order of the epoch, int32, [T, B], and [epoch, number of steps], int64, [2]. The number of steps
                is at most T, and 0 only compiles.
        """
        order, plan = data

        def body(step: Any, records: Any) -> Any:
            record = self.step(order[step], seeds.counter_of(plan[0], ops.cast(step, "int64")))
            return ops.slice_update(records, (step, 0), record[None, :])

        empty = ops.zeros((order.shape[0], len(STEP_STATISTICS)))
        records = ops.fori_loop(0, ops.cast(plan[1], "int32"), body, empty)
        return {"loss": ops.mean(records[:, 0]), "steps": records}


def learning_rate(config: Config, epoch: int) -> float:
    """The learning rate of an epoch (0-based).

    burda: stage i = 0..7 takes 3^i / 3280 of the run, at learning_rate 10^(-i/7). The midpoint of an epoch decides its
    stage, so short runs skip the first stages.
    Source: Burda, Grosse, Salakhutdinov (2016), section 5.
    """
    if config.learning_rate_schedule == "constant":
        return config.learning_rate
    ends = np.cumsum(3.0 ** np.arange(8))
    stage = int(np.searchsorted(ends / ends[-1], (epoch + 0.5) / config.epochs))
    return config.learning_rate * 10 ** (-stage / 7)


def check_finite(records: np.ndarray, epoch: int) -> None:
    """Raises Diverged where one of an epoch's records, STEP_STATISTICS of every step [T, 4], is not finite."""
    for step, statistic in np.argwhere(~np.isfinite(records))[:1]:
        raise Diverged(
            f"the {STEP_STATISTICS[statistic]} is not finite in epoch {epoch}, step {step + 1} of {len(records)}. "
            f"Expected a finite number. Received: {records[step, statistic]}. Lower learning_rate."
        )


class EpochRecorder(keras.callbacks.Callback):
    """Times the compiled call of every epoch and passes its EpochRecord on, with the images in each step, [T]."""

    def __init__(self, images: np.ndarray, on_epoch: Callable[[EpochRecord], None]):
        super().__init__()
        self.images, self.on_epoch = images, on_epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        records = np.asarray((logs or {})["steps"], np.float64)
        seconds = time.perf_counter() - self.started
        check_finite(records, epoch + 1)
        steps = dict(zip(STEP_STATISTICS, records.T, strict=True))
        self.on_epoch(EpochRecord(epoch + 1, steps, self.images, seconds))


def make_optimizer(config: Config) -> keras.optimizers.Optimizer:
    """The Keras optimizer of that name, with Keras's defaults except for the learning rate."""
    return keras.optimizers.get({"class_name": config.optimizer, "config": {"learning_rate": config.learning_rate}})


def make_trainer(
    vae: VAE,
    dataset: Dataset,
    config: Config,
    optimizer: keras.optimizers.Optimizer | None = None,
    inputs: Inputs | None = None,
) -> EpochTrainer:
    """A compiled trainer. It is called with 0 steps here, so the first epoch's time is without compilation.

    Several trainers may share inputs and an optimizer, which keeps its state; by default both are new.
    """
    trainer = EpochTrainer(vae, dataset, config, inputs)
    trainer.compile(optimizer=optimizer or make_optimizer(config), jit_compile=True)
    trainer.optimizer.build(gradients.variables_of(vae))
    trainer.make_train_function()
    warm_up = epochs_from(0, config, len(dataset.train)).map(lambda order, plan: (order, tf.zeros_like(plan)))
    trainer.train_function(iter(warm_up))
    return trainer


def train(trainer: EpochTrainer, config: Config, on_epoch: Callable[[EpochRecord], None], first: int = 0) -> None:
    """Train from epoch `first` (0-based) to the last, and call `on_epoch` after each.

    Raises:
        Diverged: a loss or a gradient is not finite. `on_epoch` has been called for the epochs before.
    """
    images = trainer.feeds.images.shape[0]
    sizes = np.diff([*range(0, images, config.batch_size), images])
    rates = keras.callbacks.LearningRateScheduler(lambda epoch, _: learning_rate(config, epoch))
    trainer.fit(
        epochs_from(first, config, images),
        initial_epoch=first,
        epochs=config.epochs,
        steps_per_epoch=1,
        shuffle=False,
        verbose=0,
        callbacks=[rates, EpochRecorder(sizes, on_epoch)],
    )
