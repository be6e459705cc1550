"""How far an importance-weighted score is from its limit: `python -m benchmarks.score_bias A.keras B.keras`, or --help.

The NLL by L draws lies above the NLL, by an amount that depends on the model. What is left at L draws is seen from what
more draws still change, for two models on the same images and draws: of each score, and of the difference, on which a
comparison rests. For two latents the last row is the limit, by quadrature.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks import machine
from benchmarks.options import positive, positives
from benchmarks.report import markdown, write
from src import data
from src.diagnose import configured, loaded, of_run

if TYPE_CHECKING:
    from src.vae.evaluation import Scores


class Level(NamedTuple):
    """The scores of two models by L draws, means over images, nats/image.

    Attributes:
        draws: inf for the limit, by quadrature.
        ess: effective sample sizes as shares of the draws; nan for the limit.
        difference: A - B.
    """

    draws: float
    nll: tuple[float, float]
    ess: tuple[float, float]
    difference: float


class Step(NamedTuple):
    """What the difference A - B changes by from L draws to more, nats/image, with its standard error over images."""

    draws: float
    more: float
    change: float
    error: float


def levels(a: "Sequence[Scores]", b: "Sequence[Scores]", draws: Sequence[float]) -> list[Level]:
    """Of the scores of both models at each number of draws."""
    return [
        Level(number, (each.nll.mean(), other.nll.mean()), (each.ess.mean(), other.ess.mean()),
              (each.nll - other.nll).mean())
        for number, each, other in zip(draws, a, b, strict=True)
    ]  # fmt: skip


def steps(a: "Sequence[Scores]", b: "Sequence[Scores]", draws: Sequence[float]) -> list[Step]:
    """From each number of draws to the next."""
    differences = [each.nll - other.nll for each, other in zip(a, b, strict=True)]
    return [
        Step(few, more, (change := after - before).mean(), change.std(ddof=1) / math.sqrt(len(change)))
        for (few, before), (more, after) in pairwise(zip(draws, differences, strict=True))
    ]


def table(found: Sequence[Level], changes: Sequence[Step]) -> str:
    """A row per number of draws."""
    after = [*(f"{each.change:+.4f} +- {each.error:.4f}" for each in changes), ""]
    rows = []
    for each, change in zip(found, after, strict=True):
        limit = math.isinf(each.draws)
        ess = ["", ""] if limit else [f"{share:.2%}" for share in each.ess]
        scores = [*(f"{nll:.3f}" for nll in each.nll), *ess, f"{each.difference:+.3f}"]
        rows.append(["limit" if limit else f"{each.draws:,}", *scores, change])
    return markdown(["draws", "NLL of A", "of B", "ESS of A", "of B", "A - B", "changes by"], rows)


def scores(model: Path, images: int, draws: Sequence[int]) -> "list[Scores]":
    """Those of a run's model on so many of its test images, by each number of draws, and for two latents the limit."""
    from src.vae.evaluation import Evaluator

    config = configured(of_run(model, []))
    test = np.asarray(data.load(config.data, config.seed).test)
    vae = loaded(model, config, test.shape[1])
    evaluator = Evaluator(vae, data.take(test, images, "final"))
    found = [evaluator.score(number) for number in draws]
    if vae.latent_dim != 2:
        return found
    limit = evaluator.quadrature().per_image
    return [*found, found[-1]._replace(nll=limit, ess=np.full_like(limit, math.nan))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Score both models, print the table and write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.score_bias",
        description="Importance-weighted NLL of two models, and their difference, by number of draws.",
    )
    parser.add_argument("models", type=Path, nargs=2, metavar="MODEL.keras", help="of two runs on the same data")
    counts = [200, 1000, 5000, 25000, 125000]
    parser.add_argument("--draws", type=positives, default=counts, help="draws per image (200,1000,...,125000)")
    parser.add_argument("--images", type=positive, default=300, help="test images, the first of the final ones (300)")
    parser.add_argument("--output", type=Path, help="file for machine and figures, as JSON")
    options = parser.parse_args(arguments)
    machine.prepare()
    draws = sorted(options.draws)
    a, b = (scores(model, options.images, draws) for model in options.models)
    numbers = [*draws, math.inf][: len(a)]
    found, changes = levels(a, b, numbers), steps(a, b, numbers)
    print(table(found, changes))
    content = {"levels": [each._asdict() for each in found], "steps": [each._asdict() for each in changes]}
    write(options.output, {"machine": machine.describe(), "images": options.images, **content})
    return 0


if __name__ == "__main__":
    sys.exit(main())
