"""Squares of the gradients of any model, from the gradients of one set of draws at a time.

They are the gradients of a training step on one image. They are made twice, first for their means and second moments,
then for the squares, so memory does not grow with images or draws. A pass is images x sets backward passes.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from src.config import Config
from src.vae.factories import layers
from src.vae.gradient_squares import Size, Squares, metric
from src.vae.gradients import Estimator, estimate, terms_for, variables_of
from src.vae.model import VAE, reparameterize


class OneByOne:
    """The losses of all sets of draws, and the squares of their gradients, of any model."""

    def __init__(self, vae: VAE, config: Config, size: Size):
        self.vae, self.config, self.size = vae, config, size
        self.estimator, self.variables = Estimator.from_settings(config), variables_of(vae)
        place = {id(variable): number for number, variable in enumerate(self.variables)}
        both = [layer for model in (vae.encoder, vae.decoder) for _, layer in layers(model, "")]
        groups = [layer.trainable_variables for layer in both] + ([] if vae.log_var is None else [[vae.log_var]])
        self.places = [[place[id(variable)] for variable in group] for group in groups]

    def losses(self, images: Any, eps: Any) -> Any:
        """Minus the bound of every set, [images x sets], at the draws eps, [images x sets x set_size, 1, D]."""

        def of_image(given: tuple[Any, Any]) -> Any:
            image, draws = given
            x = ops.repeat(image[None], self.size.sets, axis=0)
            q = self.vae.encode(x)
            z = reparameterize(q, draws)
            terms = terms_for(self.estimator, self.vae, x, q, z, draws, self.vae.decode(z), self.vae.log_var)
            return -self.estimator.objective.bound(terms)

        return ops.reshape(ops.map(of_image, (images, ops.reshape(eps, (*self.size, -1)))), (-1,))

    def over_sets(self, image: Any, draws: Any, add: Callable[[Any, list[Any]], Any], start: Any) -> Any:
        """`add(sums, gradients by variable)` over the sets of draws of an image: [pixels], [sets, set_size, D]."""

        def of_set(s: Any, sums: Any) -> Any:
            return add(sums, estimate(self.estimator, self.vae, image[None], ops.ones(1), draws[s][None]).gradients)

        return ops.fori_loop(0, self.size.sets, of_set, start)

    def zeros(self) -> list[Any]:
        return [ops.zeros(variable.shape) for variable in self.variables]

    def moments(self, images: Any, draws: Any) -> list[tuple[Any, Any, Any]]:
        """Of every variable the mean gradient, the mean of g_is^2 and that of g_i.^2."""

        def add(sums: Any, gradients: list[Any]) -> Any:
            return [(total + g, squares + g**2) for (total, squares), g in zip(sums, gradients, strict=True)]

        def of_image(i: Any, sums: Any) -> Any:
            of_sets = self.over_sets(images[i], draws[i], add, [(zero, zero) for zero in self.zeros()])
            return [
                (mean + total, sets + squares, means + total**2)
                for (mean, sets, means), (total, squares) in zip(sums, of_sets, strict=True)
            ]

        count = self.size.images * self.size.sets
        sums = ops.fori_loop(0, self.size.images, of_image, [(zero, zero, zero) for zero in self.zeros()])
        return [(mean / count, sets / count, means / (count * self.size.sets)) for mean, sets, means in sums]

    def squares(self, images: Any, eps: Any) -> Squares:
        """The squares of every layer's gradients at the draws of `losses`."""
        draws = ops.reshape(eps, (*self.size, -1))
        moments = self.moments(images, draws)
        means = [mean for mean, _, _ in moments]
        weights = [metric(self.config, self.size, *of_variable) for of_variable in moments]

        def inner(one: list[Any], two: list[Any]) -> Any:
            """Inner products by variable, plain in float64 and weighted in float32, [2, variables]."""
            plain = [ops.sum(ops.cast(a, "float64") * ops.cast(b, "float64")) for a, b in zip(one, two, strict=True)]
            scaled = [ops.sum(w * a * b) for w, a, b in zip(weights, one, two, strict=True)]
            return ops.stack([ops.stack(plain), ops.cast(ops.stack(scaled), "float64")])

        def add(sums: Any, gradients: list[Any]) -> Any:
            return sums[0] + inner(gradients, gradients), [t + g for t, g in zip(sums[1], gradients, strict=True)]

        def of_image(given: tuple[Any, Any]) -> Any:
            none = ops.zeros((2, len(means)), "float64"), self.zeros()
            square_draws, total = self.over_sets(*given, add, none)
            mean = [value / self.size.sets for value in total]
            return ops.stack([square_draws / self.size.sets, inner(mean, mean), inner(mean, means)])

        by_variable = ops.transpose(ops.map(of_image, (images, draws)), (2, 3, 1, 0))
        by_layer = (ops.stack([sum(of[p] for p in layer) for layer in self.places]) for of in ops.unstack(by_variable))
        return Squares(self.losses(images, eps), *by_layer)
