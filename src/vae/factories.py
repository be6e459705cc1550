"""Models made by a function of the user's, `model.factory`: what it must return, and whether it does.

It is called as `function(pixels=..., latent_dim=..., seed=...)` and returns two Keras models,

    encoder: x [B, pixels] -> q_mean, q_log_var, both [B, D]
    decoder: z [B, K, D] -> output [B, K, pixels],   or, for layers that know no draws,   z [B, D] -> output [B, pixels]

The weights depend on the seed alone, and what the models give for an image or a draw on this alone, in training too.
"""

import importlib
import re
import traceback
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import keras
import numpy as np

from src import schema
from src.config import ConfigError, factory_problems, refusal, source_file

IMAGES, DRAWS = 3, 2  # of the inputs that models are checked with
PARTS = schema.PROBE_PARTS[1:3]  # encoder, decoder
TOLERANCE = 1e-3  # of the largest output: far above rounding in float32


class Networks(NamedTuple):
    """Encoder and decoder, and whether the decoder takes z [B, K, D]; otherwise it takes one draw a row."""

    encoder: keras.Model
    decoder: keras.Model
    draw_axis: bool


class Unfit(Exception):
    """What a function must do or return, and what it did, in words that follow its name."""


def networks(factory: str, pixels: int, latent_dim: int, seed: int) -> Networks:
    """The models of a factory. It is checked once in a process for each number of pixels and latents.

    Raises:
        ConfigError: it cannot be imported, or does not return what it must.
    """
    draw_axis = checked(factory, pixels, latent_dim)
    encoder, decoder = called(factory, pixels, latent_dim, seed)
    return Networks(encoder, decoder, draw_axis)


@cache
def checked(factory: str, pixels: int, latent_dim: int) -> bool:
    """`Networks.draw_axis` of a factory that returns what it must. Raises ConfigError as `networks` does."""
    if problems := factory_problems(factory):
        raise ConfigError("\n".join(problems))
    try:
        made, again = (called(factory, pixels, latent_dim, seed=0) for _ in range(2))
        draw_axis = check_networks(made, pixels, latent_dim)
        check_networks(again, pixels, latent_dim)
        check_weights(made, again)
    except Unfit as error:
        expected, received = error.args
        text = refusal(
            "model.factory", f"a function {expected}", f"{factory}, which {received}", "See docs/own_model.md."
        )
        raise ConfigError(text) from error
    return draw_axis


def networks_of(encoder: keras.Model, decoder: keras.Model, pixels: int) -> Networks:
    """Two models that are at hand. Raises ConfigError where a function could not return them, see above."""
    try:
        check_kind((encoder, decoder))
        latent_dim = outputs(encoder, np.zeros((1, pixels), np.float32))[0].shape[-1]
        return Networks(encoder, decoder, check_networks((encoder, decoder), pixels, latent_dim))
    except Unfit as error:
        expected, received = error.args
        raise ConfigError(
            f"encoder and decoder must be those of a function {expected}. Received: a pair that {received}. "
            "See docs/own_model.md."
        ) from error


def check_networks(made: Any, pixels: int, latent_dim: int) -> bool:
    """`Networks.draw_axis` of what a function has returned. Raises Unfit where that is not what it must be."""
    check_kind(made)
    check_encoder(made[0], pixels, latent_dim)
    draw_axis = check_decoder(made[1], pixels, latent_dim)
    check_layers(made)
    return draw_axis


def called(factory: str, pixels: int, latent_dim: int, seed: int) -> Any:
    """What the function returns. Raises Unfit where it, or the import of its module, raises."""
    module, _, name = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(pixels=pixels, latent_dim=latent_dim, seed=seed)
    except Exception as error:
        file = str(source_file(factory))
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        place = f" in line {lines[-1]} of {file}" if lines else ""
        expected = "of pixels, latent_dim and seed that returns encoder and decoder"
        raise Unfit(expected, f"raised {told(error)}{place}") from error


def told(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def require(holds: bool, expected: str, received: str) -> None:
    """Raise Unfit where something does not hold."""
    if not holds:
        raise Unfit(expected, received)


def check_kind(made: Any) -> None:
    """Raises Unfit where a function has returned anything but two models."""
    parts = made if isinstance(made, tuple | list) else [made]
    is_pair = len(parts) == 2 and all(isinstance(part, keras.Model) for part in parts)
    kinds = " and ".join(type(part).__name__ for part in parts)
    require(is_pair, "that returns two Keras models, encoder and decoder", f"returned {kinds or 'nothing'}")


def check_layers(made: Sequence[keras.Model]) -> None:
    """Raises Unfit where two layers have one name, or a weight belongs to no layer or to several."""
    names = [name for part, model in zip(PARTS, made, strict=True) for name, _ in layers(model, part)]
    taken = [*schema.PROBE_PARTS, "log_var", *names]
    sound = len({*taken}) == len(taken) and not any("/" in name for name in names)
    require(sound, "whose layers have different names without a slash, for the record", f"has layers {names}")
    for part, model in zip(PARTS, made, strict=True):
        held = [id(variable) for _, layer in layers(model, part) for variable in layer.trainable_variables]
        once = sorted(held) == sorted(map(id, model.trainable_variables))
        require(once, "whose weights belong to one layer each", f"has others in its {part}")


def check_weights(made: Sequence[keras.Model], again: Sequence[keras.Model]) -> None:
    """Raises Unfit where models of one seed differ in their weights."""
    one, two = ([weight for model in models for weight in model.get_weights()] for models in (made, again))
    same = len(one) == len(two) and all(map(np.array_equal, one, two))
    require(same, "whose initial weights depend on the seed alone", "gave others when called again with seed=0")


def check_encoder(encoder: keras.Model, pixels: int, latent_dim: int) -> None:
    """Raises Unfit where an encoder does not take images, or not each by itself."""
    x = np.random.default_rng(0).random((IMAGES, pixels), np.float32)
    found = shapes(encoder, x)
    expected = f"whose encoder maps x [B, {pixels}] to q_mean and q_log_var, both [B, {latent_dim}]"
    require(found == [(IMAGES, latent_dim)] * 2, expected, f"has one that gave {found} for x {x.shape}")
    check_rows("encoder", encoder, x, [x[i : i + 1] for i in range(IMAGES)])


def check_decoder(decoder: keras.Model, pixels: int, latent_dim: int) -> bool:
    """Whether a decoder takes an axis of draws. Raises Unfit where it does not take draws, or not each by itself."""
    z = np.random.default_rng(0).normal(size=(IMAGES, DRAWS, latent_dim)).astype(np.float32)
    draw_axis = shapes(decoder, z) == [(IMAGES, DRAWS, pixels)]
    if draw_axis:
        singles = [z[i : i + 1, k : k + 1] for i in range(IMAGES) for k in range(DRAWS)]
    else:
        z = z.reshape(-1, latent_dim)
        singles = [z[i : i + 1] for i in range(len(z))]
    found = shapes(decoder, z)
    expected = f"whose decoder maps z [B, K, {latent_dim}] to [B, K, {pixels}], or z [B, {latent_dim}] to [B, {pixels}]"
    require(found == [(*z.shape[:-1], pixels)], expected, f"has one that gave {found} for z {z.shape}")
    check_rows("decoder", decoder, z, singles)
    return draw_axis


def check_rows(part: str, model: keras.Model, rows: np.ndarray, singles: Sequence[np.ndarray]) -> None:
    """Raises Unfit where the outputs for rows are not those for each by itself, or are others in training."""
    together, trained = outputs(model, rows), outputs(model, rows, training=True)
    alone = map(np.stack, zip(*(outputs(model, single) for single in singles), strict=True))
    stateful = [layer.name for layer in model.layers if len(layer.variables) > len(layer.trainable_variables)]
    same = f"whose {part} does the same in training as in prediction, without batch statistics and noise of its own"
    require(all(map(close, together, trained)), same, f"has {', '.join(stateful) or 'other outputs in training'}")
    apart = f"whose {part} treats every image and draw by itself"
    require(all(map(close, together, alone)), apart, "has one that mixes them")
    bound = "without losses or regularizers, which the bound does not have"
    require(not model.losses, bound, f"has some in its {part}")


def close(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two arrays with as many elements are equal but for rounding."""
    return bool(np.abs(one.ravel() - two.ravel()).max() <= TOLERANCE * np.abs(one).max())


def outputs(model: keras.Model, rows: np.ndarray, **options: bool) -> list[np.ndarray]:
    """The outputs of a model as arrays, one or several."""
    found = model(rows, **options)
    return [np.asarray(value) for value in (found if isinstance(found, tuple | list) else [found])]


def shapes(model: keras.Model, rows: np.ndarray) -> list[tuple[int, ...]] | str:
    """The shapes of a model's outputs; the error in words where there is one."""
    try:
        return [value.shape for value in outputs(model, rows)]
    except Exception as error:
        return told(error)


def layers(model: keras.Model, part: str) -> list[tuple[str, keras.layers.Layer]]:
    """The layers of a model that have trainable weights, by the names of their records.

    These are their own, or for names that Keras has numbered on, such as conv2d_7, their place: encoder_0, encoder_1.
    """
    found = [layer for layer in model.layers if layer.trainable_variables]
    return [(f"{part}_{place}" if is_numbered(layer) else layer.name, layer) for place, layer in enumerate(found)]


def is_numbered(layer: keras.layers.Layer) -> bool:
    """Whether a layer has the name that Keras makes of its class: another one for each model of a process."""
    return re.sub(r"_\d+$", "", layer.name).replace("_", "") == type(layer).__name__.lower()
