"""Topic: the probe. How much of a step's noise comes from the choice of images and how much is Monte Carlo."""

from analysis.probe.numbers import BEST_K, PART, components_by_point, headline, last_probe, left_out, observations
from analysis.probe.pictures import pictures
from analysis.probe.tables import findings, probe_tables
