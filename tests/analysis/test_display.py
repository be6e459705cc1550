"""How numbers and names are written."""

import math

import pytest

from analysis.display import labelled
from src import schema
from src.writing import percent, significant

INF = math.inf


def test_numbers_are_written_readably():
    assert [percent(share) for share in (0, 1e-9, 0.0004, 0.045, 0.0996, 0.47, math.nan)] == [
        "0 %", "< 0.01 %", "0.04 %", "4.5 %", "10 %", "47 %", "–",
    ]  # fmt: skip
    assert [significant(value) for value in (INF, -INF, 1.23e-8, 1.5e7, -2.5, math.nan)] == [
        "∞", "−∞", "1.23e−8", "15,000,000", "−2.50", "–",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (schema.TRUE_NLL, "final test NLL"),
        (schema.PSEUDO_NLL, "final test BCE pseudo-NLL"),
        (schema.DENSITY_NLL, "final test negative log-density"),
    ],
)
def test_a_quantity_is_named_after_the_kind_of_nll(kind, label):
    assert labelled(schema.FINAL_TEST_NLL, kind).label == label
    assert labelled(schema.FINAL_TEST_NLL, kind).unit == "nats/image"
