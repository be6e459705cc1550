"""How far an importance-weighted score is from its limit: `python -m benchmarks.score_bias A.keras B.keras`, or --help.

The NLL by L draws lies above the NLL, by an amount that depends on the model. What more draws still change tells of it,
and annealed importance sampling, whose chains come to what q leaves out. Its mean lies above the NLL too: the lowest is
the closest. For two models on the same images: of each score, and of the difference, on which a comparison rests. For
two latents the last row is the limit, by quadrature.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.options import positive, positives
from benchmarks.report import markdown, write
from src import data
from src.config import ConfigError
from src.diagnose import configured, loaded, of_run
from src.variance import Moments


class Score(NamedTuple):
    """The NLL of every image of a model, nats, [n], and the effective sample size as a share of the draws, [n].

    way: what it is by: a number of draws, annealing, or the limit, whose sample size is nan.
    """

    way: str
    nll: NDArray[np.float64]
    ess: NDArray[np.float64]


class Level(NamedTuple):
    """The scores of two models by one way, means over images, nats/image, and sample sizes as shares.

    difference: A - B. error: its standard error over images.
    """

    way: str
    nll: tuple[float, float]
    ess: tuple[float, float]
    difference: float
    error: float


class Step(NamedTuple):
    """What the difference A - B changes by from one way to the next, nats/image; error: standard, over images."""

    way: str
    following: str
    change: float
    error: float


def levels(a: Sequence[Score], b: Sequence[Score]) -> list[Level]:
    """Of the scores of both models, way by way."""
    return [
        Level(one.way, (one.nll.mean(), other.nll.mean()), (one.ess.mean(), other.ess.mean()), over.mean, over.sem)
        for one, other in zip(a, b, strict=True)
        for over in [Moments.of(one.nll - other.nll)]
    ]


def steps(a: Sequence[Score], b: Sequence[Score]) -> list[Step]:
    """From each way to the next."""
    differences = [(one.way, one.nll - other.nll) for one, other in zip(a, b, strict=True)]
    return [
        Step(way, following, over.mean, over.sem)
        for (way, before), (following, after) in pairwise(differences)
        for over in [Moments.of(after - before)]
    ]


def table(found: Sequence[Level], changes: Sequence[Step]) -> str:
    """A row per way."""
    after = [*(f"{each.change:+.4f} +- {each.error:.4f}" for each in changes), ""]
    rows = []
    for each, change in zip(found, after, strict=True):
        ess = ["" if math.isnan(share) else f"{share:.2%}" for share in each.ess]
        scores = [*(f"{nll:.3f}" for nll in each.nll), *ess, f"{each.difference:+.3f} +- {each.error:.3f}"]
        rows.append([each.way, *scores, change])
    return markdown(["draws", "NLL of A", "of B", "ESS of A", "of B", "A - B", "changes by"], rows)


def scores(model: Path, options: argparse.Namespace) -> Iterator[Score]:
    """Those of a run's model on so many of its test images."""
    from benchmarks.annealing import Annealing
    from src.vae.evaluation import Evaluator
    from src.vae.model import Posterior

    config = configured(of_run(model, []))
    test = np.asarray(data.load(config.data, config.seed).test)
    vae = loaded(model, config, test.shape[1])
    evaluator = Evaluator(vae, data.take(test, options.images, "final"))
    for number in sorted(options.draws):
        found = evaluator.score(number)
        yield Score(f"{number:,}", found.nll, found.ess)
    q = vae.encode(evaluator.images)
    for name, start in (("q", q), ("the prior", Posterior(*map(np.zeros_like, q)))):
        annealed = Annealing(vae, evaluator.images, start, options.chains, options.steps).score()
        yield Score(f"{options.chains:,} annealed from {name}", annealed.nll, annealed.ess)
    if vae.latent_dim == 2:
        limit = evaluator.quadrature().per_image
        yield Score("limit", limit, np.full_like(limit, math.nan))


def main(arguments: Sequence[str] | None = None) -> int:
    """Score both models, print the table and write the JSON. Returns 0 on success, 2 where a model cannot be scored."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.score_bias",
        description="Importance-weighted and annealed NLL of two models, and their difference, by number of draws.",
    )
    parser.add_argument("models", type=Path, nargs=2, metavar="MODEL.keras", help="of two runs on the same data")
    counts = [200, 1000, 5000, 25000, 125000]
    parser.add_argument("--draws", type=positives, default=counts, help="draws per image (200,1000,...,125000)")
    parser.add_argument("--images", type=positive, default=300, help="test images, the first of the final ones (300)")
    parser.add_argument("--chains", type=positive, default=10, help="annealed chains per image (10)")
    parser.add_argument("--steps", type=positive, default=1000, help="steps from q to the posterior (1000)")
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    options = parser.parse_args(arguments)
    machine.prepare()
    try:
        a, b = (list(scores(model, options)) for model in options.models)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found, changes = levels(a, b), steps(a, b)
    print(table(found, changes))
    content = {"levels": [each._asdict() for each in found], "steps": [each._asdict() for each in changes]}
    write(options.output, {"machine": machine.describe(), "images": options.images, **content})
    return 0


if __name__ == "__main__":
    sys.exit(main())
