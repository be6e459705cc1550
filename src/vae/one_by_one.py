"""Squares of the gradients of any model: the gradients themselves, of one set of draws at a time.

They are those of a training step on one image. They are made twice, first for their means and second moments, then for
the squares, so memory does not grow with images or draws. A pass is images x sets backward passes of one image.
"""

from typing import Any

from keras import ops

from src.vae.factories import layers
from src.vae.gradient_squares import Metric, Size, Squares
from src.vae.gradients import Estimator, estimate, terms_for, variables_of
from src.vae.model import VAE, reparameterize


class OneByOne:
    """The losses of all sets of draws, and the squares of their gradients, of any model."""

    def __init__(self, vae: VAE, estimator: Estimator, size: Size):
        self.vae, self.estimator, self.size = vae, estimator, size
        place = {id(variable): number for number, variable in enumerate(variables_of(vae))}
        both = [layer for model in (vae.encoder, vae.decoder) for _, layer in layers(model, "")]
        groups = [layer.trainable_variables for layer in both] + ([] if vae.log_var is None else [[vae.log_var]])
        self.places = [[place[id(variable)] for variable in group] for group in groups]

    def by_image(self, eps: Any) -> Any:
        """The draws of every image, [images, sets, set_size, D]."""
        return ops.reshape(eps, (*self.size, -1))

    def losses(self, images: Any, eps: Any) -> Any:
        """Minus the bound of every set, [images x sets]."""

        def of_image(given: tuple[Any, Any]) -> Any:
            image, draws = given
            x = ops.repeat(image[None], self.size.sets, axis=0)
            q = self.vae.encode(x)
            z = reparameterize(q, draws)
            terms = terms_for(self.estimator, self.vae, x, q, z, draws, self.vae.decode(z), self.vae.log_var)
            return -self.estimator.objective.bound(terms)

        return ops.reshape(ops.map(of_image, (images, self.by_image(eps))), (-1,))

    def gradients(self, image: Any, draws: Any) -> list[Any]:
        """The gradient of one set of draws by every variable: [pixels], [set_size, D]."""
        return estimate(self.estimator, self.vae, image[None], ops.ones(1), draws[None]).gradients

    def zeros(self) -> list[Any]:
        return [ops.zeros(variable.shape) for variable in variables_of(self.vae)]

    def moments(self, images: Any, draws: Any) -> list[tuple[Any, Any, Any]]:
        """Of every variable the mean gradient, the mean of g_is^2 and that of g_i.^2."""

        def of_image(i: Any, sums: Any) -> Any:
            def of_set(s: Any, found: Any) -> Any:
                made = self.gradients(images[i], draws[i, s])
                return [(total + g, squares + g**2) for (total, squares), g in zip(found, made, strict=True)]

            found = ops.fori_loop(0, self.size.sets, of_set, [(zero, zero) for zero in self.zeros()])
            return [
                (mean + total, sets + squares, means + total**2)
                for (mean, sets, means), (total, squares) in zip(sums, found, strict=True)
            ]

        count = self.size.images * self.size.sets
        sums = ops.fori_loop(0, self.size.images, of_image, [(zero, zero, zero) for zero in self.zeros()])
        return [(mean / count, sets / count, means / (count * self.size.sets)) for mean, sets, means in sums]

    def squares(self, images: Any, eps: Any, metric: Metric) -> Squares:
        """The squares of every layer's gradients, by `layers`, the variance of the pixels last where there is one."""
        draws = self.by_image(eps)
        moments = self.moments(images, draws)
        means = [mean for mean, _, _ in moments]
        weights = [metric.weights(*of_variable, self.size) for of_variable in moments]

        def inner(one: list[Any], two: list[Any]) -> Any:
            """Inner products by variable, plain in float64 and weighted in float32, [2, variables]."""
            plain = [ops.sum(ops.cast(a, "float64") * ops.cast(b, "float64")) for a, b in zip(one, two, strict=True)]
            scaled = [ops.sum(w * a * b) for w, a, b in zip(weights, one, two, strict=True)]
            return ops.stack([ops.stack(plain), ops.cast(ops.stack(scaled), "float64")])

        def of_image(given: tuple[Any, Any]) -> Any:
            image, of_sets = given

            def of_set(s: Any, found: tuple[Any, list[Any]]) -> tuple[Any, list[Any]]:
                made = self.gradients(image, of_sets[s])
                return found[0] + inner(made, made), [total + g for total, g in zip(found[1], made, strict=True)]

            none = ops.zeros((2, len(means)), "float64"), self.zeros()
            square_draws, total = ops.fori_loop(0, self.size.sets, of_set, none)
            mean = [value / self.size.sets for value in total]
            return ops.stack([square_draws / self.size.sets, inner(mean, mean), inner(mean, means)])

        found = ops.transpose(ops.map(of_image, (images, draws)), (2, 3, 1, 0))
        by_layer = (ops.stack([sum(of[p] for p in layer) for layer in self.places]) for of in ops.unstack(found))
        return Squares(self.losses(images, eps), *by_layer)
