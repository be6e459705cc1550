"""One run, from its settings to its last artifact."""

import os

# Read by TensorFlow when it is imported. Compiled epochs do not use oneDNN, which is announced at every start.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from src.run.cell import run
