"""Moments of minibatch losses, variance components, the cost of draws, errors, and what follows for K and B."""

from src.variance import components, cost, errors, moments
from src.variance.components import DatumSquares, OptimalSamples, VarianceComponents
from src.variance.cost import Cost
from src.variance.moments import Moments
