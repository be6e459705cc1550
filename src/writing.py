"""How numbers, names and sentences are written: one form for terminal, page, tracker and docs.

Sentences stand in Jinja templates, beside the code that makes the records which fill them.
"""

import math
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import schema

if TYPE_CHECKING:
    import jinja2

NONE = "–"
SHORT = {schema.MC_SAMPLES.key: "K", schema.BATCH_SIZE.key: "B"}
# A terminal may know no other characters.
ASCII = str.maketrans({"−": "-", "–": "-", "±": "+-", "×": "x", "∞": "inf"})


def short(key: str) -> str:
    """A setting as sentences and figures name it."""
    return SHORT.get(key, key)


def label(key: str, value: object) -> str:
    """A setting with its value: K=5."""
    return f"{short(key)}={value}"


def plural(number: int, noun: str) -> str:
    """A number with its noun, in the plural by an s where it is not 1."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def is_known(value: Any) -> bool:
    """Whether a value is a number, infinite ones included."""
    try:
        return not math.isnan(float(value))
    except TypeError:  # None, and the missing value of pandas
        return False


def decimals(value: Any, digits: int = 2) -> str:
    """A value with fixed decimals; a dash where there is none."""
    if not is_known(value):
        return NONE
    text = "∞" if math.isinf(value) else f"{abs(value):,.{digits}f}"
    return f"−{text}" if value < 0 else text


def whole(value: Any) -> str:
    """A value without decimals; a dash where there is none."""
    return decimals(value, 0)


def signed(value: Any, digits: int = 2) -> str:
    """A difference with its sign; a dash where there is none."""
    text = decimals(value, digits)
    return f"+{text}" if is_known(value) and value >= 0 else text


def significant(value: Any) -> str:
    """A value with three significant digits, with an exponent where it is very large or small; a dash for none."""
    if not is_known(value) or math.isinf(value) or value == 0:
        return whole(value)
    exponent = math.floor(math.log10(abs(value)))
    if -6 < exponent < 10:
        return decimals(value, max(0, 2 - exponent))
    return f"{decimals(value / 10.0**exponent)}e{exponent}".replace("e-", "e−")


def percent(share: Any) -> str:
    """A share, not negative, in per cent with two significant digits; a dash where there is none."""
    if not is_known(share):
        return NONE
    value = 100 * share
    if 0 < value < 0.01:
        return "< 0.01 %"
    digits = 2 if 0 < value < 0.995 else 1 if 0 < value < 9.95 else 0
    return f"{decimals(value, digits)} %"


def clock(seconds: float) -> str:
    """Seconds as 42s, 3m05s or 2h10m."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def size(number: float) -> str:
    """Bytes as 87 MB or 1.5 GB."""
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"


# What templates may call, as filters and as functions.
WRITERS = (short, label, plural, aligned, is_known, decimals, whole, signed, significant, percent, clock, size)


@cache
def environment(folder: Path) -> "jinja2.Environment":
    """The templates of a folder, with WRITERS. A name that a template does not get is an error. HTML is escaped."""
    import jinja2  # late: commands that write no sentence do not wait for it

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    writers: dict[str, Any] = {write.__name__: write for write in WRITERS}
    made.filters |= writers
    made.globals |= writers
    return made


def render(template: Path, **values: Any) -> str:
    """A filled template: NAME.md.j2, NAME.html.j2, or NAME.txt.j2: in ASCII, without a last newline."""
    text = environment(template.parent).get_template(template.name).render(values)
    return text.translate(ASCII).rstrip() if template.name.endswith(".txt.j2") else text
