"""Topic: two studies, compared cell by cell and seed by seed: is the second one worse, or slower?"""

from analysis.compare.numbers import Comparison, compare
