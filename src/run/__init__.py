"""One run, from its settings to its last artifact."""

from src.run.cell import run

__all__ = ["run"]
