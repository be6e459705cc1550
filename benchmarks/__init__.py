"""Speed and memory: this project beside other implementations of the same model, and what a run spends on what."""
