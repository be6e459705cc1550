"""How numbers are written."""

import math

from src.writing import percent, significant

INF = math.inf


def test_numbers_are_written_readably():
    assert [percent(share) for share in (0, 1e-9, 0.0004, 0.045, 0.0996, 0.47, math.nan)] == [
        "0 %", "< 0.01 %", "0.04 %", "4.5 %", "10 %", "47 %", "–",
    ]  # fmt: skip
    assert [significant(value) for value in (INF, -INF, 1.23e-8, 1.5e7, -2.5, math.nan)] == [
        "∞", "−∞", "1.23e−8", "15,000,000", "−2.50", "–",
    ]  # fmt: skip
