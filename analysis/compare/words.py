"""The comparison as the terminal has it: a table for quality, one for speed, and the outcome."""

import math
from collections.abc import Callable, Sequence

from analysis.compare.numbers import STUDIES, Comparison, more_pairs
from analysis.store import B, K
from src.inference import Contrast, Verdict, naming
from src.writing import aligned, label, plural

SHOWN, FOUND, UNDECIDED = 0, 1, 3  # exit codes
NO_GUESS = "how many more seeds would decide is not known"
ANSWERS = (Verdict.WORSE_BY_MARGIN, Verdict.NOT_WORSE)


def verdict(each: Contrast) -> Verdict:
    """The one of its verdicts that answers whether B is worse by the margin."""
    return next((answer for answer in ANSWERS if answer in each.judgement.verdicts), Verdict.UNDECIDED)


def cell_name(each: Contrast, among: Sequence[Contrast]) -> str:
    keys = dict.fromkeys([K, B, *naming([other.group for other in among])])
    return " ".join(label(key, each.group[key]) for key in keys)


def table(contrasts: Sequence[Contrast], mean: str, back: Callable[[float], float]) -> list[str]:
    """Aligned lines, a row per cell; back: how mean and interval are brought back to the unit shown."""
    rows = [("cell", "n", mean, "sd", "interval", "verdict")]
    for each in contrasts:
        judged, pairs = each.judgement, each.judgement.pairs
        low, high = judged.directional if pairs.mean > judged.design.margin else judged.interval
        interval = f"{back(low):.3f} to {back(high):.3f}" if math.isfinite(low) else "none"
        middle, sd = (f"{value:.3f}" if math.isfinite(value) else "-" for value in (back(pairs.mean), pairs.sd))
        few = "an interval needs two pairs" if pairs.n < 2 and not each.unpaired else ""
        said = "; ".join(filter(None, [verdict(each), few, each.obstacle, each.unpaired]))
        rows.append((cell_name(each, contrasts), str(pairs.n), middle, sd, interval, said))
    return aligned(rows)


def lines(found: Comparison, slower: float | None) -> list[str]:
    """Everything but the outcome."""
    design, alpha = found.quality[0].judgement.design, 100 * found.quality[0].judgement.alpha
    changed = [f"{name} {a} -> {b}" for name, (a, b) in found.differs.items()]
    text = [f"differs: {'; '.join(changed) or 'no setting, version or machine'}"]
    for numbers, why in ((found.alone, "without a partner"), (found.lost, "that did not end")):
        held = (f"{number} of {name}" for number, name in zip(numbers, STUDIES, strict=True))
        text += [f"left out: runs {why}: {', '.join(held)}"] if any(numbers) else []
    text += ["", f"{design.metric} [nats/image], B - A; margin {design.margin:g}"]
    text += table(found.quality, "mean difference", float)
    if slower is not None:
        text += ["", f"seconds per epoch, B / A; margin {slower:g}; sd of the logarithm"]
        text += table(found.speed, "ratio", math.exp)
    sides = f"{100 - alpha:.4g} % a side, or {100 - alpha / 2:.4g} % where the mean is beyond the margin"
    return [*text, "", f"Intervals for one look: {sides}."]


def outcome(found: Comparison) -> tuple[int, str]:
    """The exit code, and the line that says why."""
    judged = [(each, "worse") for each in found.quality] + [(each, "slower") for each in found.speed]
    names: dict[Verdict, list[str]] = {verdict(each): [] for each, _ in judged}
    for each, how in judged:
        names[verdict(each)].append(f"{cell_name(each, found.quality)} ({how})")
    if worse := names.get(Verdict.WORSE_BY_MARGIN):
        return FOUND, f"regression by more than the margin: {', '.join(worse)}"
    if not (doubtful := names.get(Verdict.UNDECIDED)):
        speed = " and not slower" if found.speed else ""
        return SHOWN, f"no regression: not worse{speed}, within the margin, in {plural(len(found.quality), 'cell')}"
    more = [more_pairs(each) for each, _ in judged if verdict(each) == Verdict.UNDECIDED]
    known = [number for number in more if number is not None]
    left = f" all but {len(more) - len(known)} of these" if len(known) < len(more) else ""
    seeds = f"about {plural(max(known), 'more seed')} at this spread would decide{left}" if known else NO_GUESS
    cells = len({name.rpartition(" (")[0] for name in doubtful})
    return UNDECIDED, f"undecided in {cells} of {plural(len(found.quality), 'cell')}: {', '.join(doubtful)}; {seeds}"
