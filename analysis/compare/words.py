"""The comparison as the terminal has it: a table for quality, one for speed, and the outcome."""

import math
from collections.abc import Callable, Sequence

from analysis.compare.numbers import STUDIES, Comparison, more_pairs
from analysis.display import counted
from analysis.store import B, K
from src.inference import Contrast, Verdict, named, naming

REGRESSION = Verdict.WORSE_BY_MARGIN
SHOWN, FOUND, UNDECIDED = 0, 1, 3  # exit codes


def verdict(each: Contrast) -> Verdict:
    """The one of its verdicts that answers whether B is worse by the margin."""
    return next((v for v in (REGRESSION, Verdict.NOT_WORSE) if v in each.judgement.verdicts), Verdict.UNDECIDED)


def cell_name(each: Contrast, among: Sequence[Contrast]) -> str:
    keys = dict.fromkeys([K, B, *naming([other.group for other in among])])
    return " ".join(named(key, each.group[key]) for key in keys)


def table(contrasts: Sequence[Contrast], mean: str, back: Callable[[float], float]) -> list[str]:
    """Aligned lines, a row per cell; back: how mean and interval are brought back to the unit shown."""
    rows = [("cell", "n", mean, "sd", "interval", "verdict")]
    for each in contrasts:
        judged, pairs = each.judgement, each.judgement.pairs
        ends = judged.directional if pairs.mean > judged.design.margin else judged.interval
        known = math.isfinite(ends.low)
        interval = f"{back(ends.low):.3f} to {back(ends.high):.3f}" if known else "none"
        middle, sd = (f"{value:.3f}" if math.isfinite(value) else "-" for value in (back(pairs.mean), pairs.sd))
        few = "an interval needs two pairs" if pairs.n < 2 else ""
        said = "; ".join(filter(None, [verdict(each), few, each.obstacle, each.unpaired]))
        rows.append((cell_name(each, contrasts), str(pairs.n), middle, sd, interval, said))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def lines(found: Comparison, slower: float | None) -> list[str]:
    """Everything but the outcome."""
    design = found.quality[0].judgement.design
    level = 100 * (1 - found.quality[0].judgement.alpha)
    changed = [f"{name} {a} -> {b}" for name, (a, b) in found.differs.items()]
    text = [f"differs: {'; '.join(changed) or 'no setting, version or machine'}"]
    for numbers, why in ((found.alone, "without a partner"), (found.lost, "that did not end")):
        if any(numbers):
            held = (f"{number} of {name}" for number, name in zip(numbers, STUDIES, strict=True))
            text.append(f"left out: runs {why}: {', '.join(held)}")
    text += ["", f"{found.label}, B - A; margin {design.margin:g}"]
    text += table(found.quality, "mean difference", float)
    if slower is not None:
        text += ["", f"seconds per epoch, B / A; margin {slower:g}; sd of the logarithm"]
        text += table(found.speed, "ratio", math.exp)
    half = 100 - (100 - level) / 2
    return [*text, "", f"Intervals: {level:.4g} % a side, where the mean is beyond the margin {half:.4g} %; one look."]


def outcome(found: Comparison) -> tuple[int, str]:
    """The exit code, and the line that says why."""
    judged = [(each, "worse") for each in found.quality] + [(each, "slower") for each in found.speed]
    names = {verdict(each): dict[str, None]() for each, _ in judged}
    for each, how in judged:
        names[verdict(each)][f"{cell_name(each, found.quality)} ({how})"] = None
    if worse := names.get(REGRESSION):
        return FOUND, f"regression, by more than the margin: {', '.join(worse)}"
    if not (open_ones := names.get(Verdict.UNDECIDED)):
        speed = " and not slower" if found.speed else ""
        return SHOWN, f"no regression: not worse{speed}, within the margin, in {counted(len(found.quality), 'cell')}"
    more = [more_pairs(each) for each, _ in judged if verdict(each) == Verdict.UNDECIDED]
    known = [number for number in more if number is not None]
    remedy = [f"about {counted(max(known), 'more seed')} would decide at this spread"] if known else []
    remedy += ["no number of seeds can be told where the table says why"] if len(known) < len(more) else []
    cells = len({name.rpartition(" ")[0] for name in open_ones})
    where = f"{cells} of {counted(len(found.quality), 'cell')}: {', '.join(open_ones)}"
    return UNDECIDED, f"undecided in {where}; {'; '.join(remedy)}"
