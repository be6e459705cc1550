"""Compare two studies seed by seed: python -m analysis.compare A B --margin 0.25 --slower 1.1

A (before) and B (after) are stores, by their URI, or folders of reports. Runs of one cell and seed are pairs: a cell is
K, B and the settings that vary within a study; settings that are constant in each, but not the same, are compared.
Quality is the mean of B - A, in nats/image, and pairs by the seed alone; speed is the ratio B / A of the runs' median
seconds per epoch, and pairs only runs on one kind of processor with as many threads. Over all cells together, a false
`not worse` has a probability of at most 5 %, a false regression of 2.5 %. The intervals are for one look: choose the
number of seeds beforehand, and after an undecided comparison take new seeds.

Exit code: 0 every cell is shown not to be worse by the margin, nor slower; 1 a regression is shown; 2 there is nothing
to compare, or a wrong value; 3 undecided, and about how many seeds are missing.
"""

import argparse
import math
import sys
from pathlib import Path

from analysis import store
from analysis.compare.numbers import answer, compare, more_pairs
from analysis.store import ReportError
from src import schema
from src.inference import Verdict
from src.refusal import Domain, is_number, or_null, positive
from src.writing import render

# Of these less is better, by an amount in the unit of the margin.
RECORDED = (*schema.FINAL_METRICS, schema.FINAL_TEST_NLL_QUADRATURE, *schema.EPOCH_METRICS, schema.VALIDATION_NLL)
METRICS = [each.key for each in RECORDED if each.unit == "nats/image" and "_sem" not in each.key]
MARGIN = positive("For example 0.25.")
SLOWER = or_null(Domain("a finite number above 1", lambda ratio: is_number(ratio) and ratio > 1, "For example 1.1."))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m analysis.compare", description=__doc__, formatter_class=style)
    add = parser.add_argument
    add("a", metavar="A", help="the reference: a store's URI, or the folder or runs.parquet of a report")
    add("b", metavar="B", help="what is compared with it")
    add("--margin", type=float, required=True, metavar="NATS", help="increase that does not matter")
    add("--slower", type=float, metavar="RATIO", help="compare times too: ratio that does not matter")
    add("--metric", default=METRICS[0], choices=METRICS, metavar="KEY", help=f"{', '.join(METRICS)}; else the first")
    add("--experiment", nargs="+", default=[schema.EXPERIMENT], metavar="NAME", help="of both, or of A and of B")
    options = parser.parse_args(arguments)
    if wrong := [*MARGIN.refusals("--margin", options.margin), *SLOWER.refusals("--slower", options.slower)]:
        parser.error(" ".join(wrong))
    if len(options.experiment) > 2:
        parser.error(f"--experiment takes one name for both studies, or two. Received: {len(options.experiment)}.")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison, and return the exit code of the module's text."""
    options = parse(arguments)
    try:
        studies = store.read(options.a, options.experiment[0]), store.read(options.b, options.experiment[-1])
        found = compare(studies, options.metric, options.margin, options.slower)
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    worse, undecided = found.answered(Verdict.WORSE_BY_MARGIN), found.answered(Verdict.UNDECIDED)
    told = {"found": found, "slower": options.slower, "worse": worse, "undecided": undecided}
    more = list(map(more_pairs, undecided))
    print(render(Path(__file__).with_name("compare.txt.j2"), **told, more=more, answer=answer, exp=math.exp))
    return 1 if worse else 3 if undecided else 0


if __name__ == "__main__":
    sys.exit(main())
