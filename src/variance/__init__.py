"""Moments of minibatch losses, variance components, and what follows from them for K and B. NumPy only."""

from src.variance import components, moments
from src.variance.components import DatumSquares, OptimalSamples, VarianceComponents
from src.variance.moments import Moments

__all__ = ["DatumSquares", "Moments", "OptimalSamples", "VarianceComponents", "components", "moments"]
