"""Whether the factories of a grid make models that can be trained: asked of a process that imports TensorFlow."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from src.config import Config, ConfigError, refusal
from src.recording import pixels

# Its last line is the answer, whatever a factory prints.
PROGRAM = "import json, sys; from src.run import unfit; print('\\n' + json.dumps(unfit(json.loads(sys.argv[1]))))"


def ensure(configs: Sequence[Config]) -> None:
    """Refuse models of factories that cannot be trained. Raises ConfigError, with each reason once."""
    models = sorted(
        {(c.model.factory, pixels(c), c.model.latent_dim, c.model.output_bias) for c in configs if c.model.factory}
    )
    if not models:
        return
    command = [sys.executable, "-c", PROGRAM, json.dumps(models)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    if ran.returncode == 0:
        if found := json.loads(ran.stdout.splitlines()[-1]):
            raise ConfigError("\n".join(found))
        return
    expected = f"a function whose module does not end the process (exit code {ran.returncode})"
    received = ", ".join(sorted({model[0] for model in models}))
    said = ran.stderr.strip()[-500:] or "nothing"
    raise ConfigError(refusal("model.factory", expected, received, f"Correct the module. It said last: {said}"))
