"""Models made by a function of the user's, `model.factory`: what it must return, and whether it does.

It is called as `function(pixels=..., latent_dim=..., seed=...)` and returns two Keras models,

    encoder: x [B, pixels] -> q_mean, q_log_var, both [B, D]
    decoder: z [B, K, D] -> output [B, K, pixels],   or, for layers that know no draws,   z [B, D] -> output [B, pixels]

The weights depend on the seed alone, and what the models give for an image or a draw on this alone, in training too.
"""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import keras
import numpy as np

from src import schema
from src.config import ConfigError, refusal

PARTS = schema.PROBE_PARTS[1:3]  # encoder, decoder
EXPECTED = (
    "encoder x [B, pixels] -> q_mean, q_log_var, both [B, D], and decoder z [B, K, D] -> [B, K, pixels] or [B, D] -> "
    "[B, pixels]"
)
TOLERANCE = 1e-3  # of the largest output: far above rounding in float32


class Networks(NamedTuple):
    """Encoder and decoder, and whether the decoder takes z [B, K, D]; otherwise it takes one draw a row."""

    encoder: keras.Model
    decoder: keras.Model
    draw_axis: bool


class Unfit(Exception):
    """Models that cannot be trained."""


def require(holds: bool, problem: str) -> None:
    """Raise Unfit with the problem where a condition does not hold."""
    if not holds:
        raise Unfit(problem)


@contextmanager
def refused(key: str, expected: str, received: str) -> Iterator[None]:
    """Turn any error in the block into ConfigError, with its reason in one line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError(refusal(key, expected, f"{received} ({reason})", "See docs/own_model.md.")) from error


def networks(factory: str, pixels: int, latent_dim: int, seed: int) -> Networks:
    """The models of a factory. It is checked once in a process for each number of pixels and latents.

    Raises:
        ConfigError: it cannot be imported, or does not return what it must.
    """
    with refused("model.factory", f"a function of pixels, latent_dim and seed that returns {EXPECTED}", factory):
        draw_axis = checked(factory, pixels, latent_dim)
        encoder, decoder = called(factory, pixels, latent_dim, seed)
        return Networks(encoder, decoder, draw_axis)


def networks_of(encoder: keras.Model, decoder: keras.Model, pixels: int) -> Networks:
    """Two models that are at hand. Raises ConfigError where a function could not return them, see above."""
    with refused("encoder and decoder", EXPECTED, "two models"):
        q_mean, _ = outputs(encoder, np.zeros((1, pixels), np.float32))
        return Networks(encoder, decoder, check(encoder, decoder, pixels, q_mean.shape[-1]))


def called(factory: str, pixels: int, latent_dim: int, seed: int) -> tuple[keras.Model, keras.Model]:
    """What the function returns. Raises Unfit where these are not two models, and whatever the function raises."""
    module, _, name = factory.partition(":")
    function = getattr(importlib.import_module(module), name)
    require(function.__module__ == module, f"it is defined in {function.__module__}, so its file is not fingerprinted")
    made = function(pixels=pixels, latent_dim=latent_dim, seed=seed)
    is_pair = isinstance(made, tuple | list) and len(made) == 2
    require(is_pair and all(isinstance(part, keras.Model) for part in made), f"it returns no pair of models: {made}")
    return made[0], made[1]


@cache
def checked(factory: str, pixels: int, latent_dim: int) -> bool:
    """Whether the decoder of a factory takes an axis of draws. Raises Unfit where its models cannot be trained."""
    made, again = (called(factory, pixels, latent_dim, seed=0) for _ in range(2))
    draw_axis = check(*made, pixels, latent_dim)
    one, two = ([weight for model in models for weight in model.get_weights()] for models in (made, again))
    require(all(map(np.array_equal, one, two)), "its initial weights depend on more than the seed")
    return draw_axis


def check(encoder: keras.Model, decoder: keras.Model, pixels: int, latent_dim: int) -> bool:
    """Whether the decoder takes an axis of draws. Raises Unfit where the two models cannot be trained."""
    rng = np.random.default_rng(0)
    x, z = rng.random((3, pixels), np.float32), rng.normal(size=(3, 2, latent_dim)).astype(np.float32)
    check_outputs("encoder", encoder, x, [(3, latent_dim)] * 2)
    draw_axis = takes_draws(decoder, z, pixels)
    check_outputs("decoder", decoder, z if draw_axis else z[0], [(3, 2, pixels) if draw_axis else (2, pixels)])
    names = [name for part, model in zip(PARTS, (encoder, decoder), strict=True) for name, _ in layers(model, part)]
    distinct = len({*schema.PROBE_PARTS, "log_var", *names}) == len(schema.PROBE_PARTS) + 1 + len(names)
    require(distinct and "/" not in "".join(names), f"its layers need different names, without a slash: {names}")
    return draw_axis


def takes_draws(decoder: keras.Model, z: np.ndarray, pixels: int) -> bool:
    """Whether a decoder takes draws on an axis of their own."""
    try:
        return outputs(decoder, z)[0].shape == (*z.shape[:2], pixels)
    except Exception:
        return False


def check_outputs(part: str, model: keras.Model, rows: np.ndarray, expected: list[tuple[int, ...]]) -> None:
    """Raises Unfit for outputs of other shapes, that differ in training, or that mix rows; and for losses."""
    together, trained = outputs(model, rows), outputs(model, rows, training=True)
    given = [output.shape for output in together]
    require(given == expected, f"its {part} gives {given} for {rows.shape}, not {expected}")
    stateful = [layer.name for layer in model.layers if len(layer.variables) > len(layer.trainable_variables)]
    same = all(map(close, together, trained))
    require(same, f"its {part} differs between training and prediction, see layers {stateful}")
    first = (slice(1),) * (rows.ndim - 1)
    apart = map(close, [output[first] for output in together], outputs(model, rows[first]))
    require(all(apart), f"its {part} mixes images or draws")
    require(not model.losses, f"its {part} has losses or regularizers, which the bound does not have")


def close(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two arrays of one shape are equal but for rounding."""
    return bool(np.abs(one - two).max() <= TOLERANCE * np.abs(one).max())


def outputs(model: keras.Model, rows: np.ndarray, **options: bool) -> list[np.ndarray]:
    """The outputs of a model as arrays, one or several."""
    made = model(rows, **options)
    return [np.asarray(value) for value in (made if isinstance(made, tuple | list) else [made])]


def layers(model: keras.Model, part: str) -> list[tuple[str, keras.layers.Layer]]:
    """The layers of a model that have trainable weights, by the names of their records.

    These are their own, or for names that Keras has numbered on, such as conv2d_7, their place: encoder_0, encoder_1.
    """
    trained = [layer for layer in model.layers if layer.trainable_variables]
    return [(f"{part}_{place}" if is_numbered(layer) else layer.name, layer) for place, layer in enumerate(trained)]


def is_numbered(layer: keras.layers.Layer) -> bool:
    """Whether a layer has the name that Keras makes of its class: another one for each model of a process."""
    return re.sub(r"_\d+$", "", layer.name).replace("_", "") == type(layer).__name__.lower()
