"""How many Monte Carlo samples per data point does training a variational autoencoder need?"""

from pathlib import Path

# The checkout: the package is run from it.
ROOT = Path(__file__).resolve().parent.parent
