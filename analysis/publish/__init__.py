"""The pages of this repository and the studies in results/, made from runs. Templates own the sentences."""
