"""Colours that are read in their order, and a look that does not leak."""

import matplotlib as mpl
import numpy as np

from analysis import style


def test_colours_get_darker_with_k_and_are_readable_on_white():
    def luminance(colour) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for count in (2, 3, 6):
        values = [luminance(colour) for colour in style.sequential(range(count)).values()]
        assert values == sorted(values, reverse=True)
        assert 1.05 / (values[0] + 0.05) > 2.2  # contrast of the lightest


def test_levels_are_ordered_by_size_and_words_as_they_come():
    assert list(style.sequential([25, 1, 5, 25])) == ["1", "5", "25"]
    assert list(style.sequential(["iwae", "elbo", "iwae"])) == ["iwae", "elbo"]
    assert style.sequential([]) == {}


def test_the_look_stays_inside_its_context():
    with mpl.rc_context():
        mpl.rcdefaults()
        with style.applied():
            assert (mpl.rcParams["axes.grid"], mpl.rcParams["svg.hashsalt"]) == (True, style.SETTINGS["svg.hashsalt"])
        assert mpl.rcParams["axes.grid"] is False
