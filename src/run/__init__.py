"""One run, from its settings to its last artifact."""

from src.run.start import run, tensorflow
