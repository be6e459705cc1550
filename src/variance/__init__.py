"""Moments of minibatch losses, variance components, their errors, and what follows for K and B. NumPy only."""

from src.variance import components, errors, moments
from src.variance.components import DatumSquares, OptimalSamples, VarianceComponents
from src.variance.moments import Moments

__all__ = ["DatumSquares", "Moments", "OptimalSamples", "VarianceComponents", "components", "errors", "moments"]
