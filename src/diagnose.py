"""Measure how much of the noise of a model's gradient is Monte Carlo, at its present weights, and what K is worth it.

  python -m src.diagnose runs/.../model.keras              the model of a run, with the run's data, B and optimizer
  python -m src.diagnose MODEL.keras data=fashion_mnist batch_size=64 optimizer=adam

Prints two tables and an answer, and draws MODEL.diagnosis.png beside the model. The gradient is that of the ELBO with
independent draws, its noise in the optimizer's metric. Keys, as of python -m src.train: data, data.*, batch_size,
optimizer, seed, probe.images, probe.draws, compile_cache.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import hydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from src import ROOT, data, schema
from src.config import Config, ConfigError, flatten, refusal
from src.process import configure_logging
from src.run import run, tensorflow
from src.sweep import check_single, refuse, register, typed

if TYPE_CHECKING:
    from src.vae import VAE

# The settings that matter here, and those that are taken from a run whose model it is.
USED = ("data", "batch_size", "optimizer", "seed", "probe.images", "probe.draws", "compile_cache")
OF_DATA = ("data.name", "data.path", "data.pixels", "data.train_size", "data.validation_size")
OF_RUN = ("batch_size", "optimizer", "seed", *OF_DATA)
MODEL = "MODEL.keras"
REMEDY = "For a model of your own see docs/own_model.md: from src.vae import diagnose."


def parse(arguments: list[str]) -> tuple[Path, list[str]]:
    """The model's file, and the overrides. Raises ConfigError for anything else."""
    files = [item for item in arguments if "=" not in item]
    overrides = [item for item in arguments if "=" in item]
    if len(files) != 1 or not Path(files[0]).is_file():
        raise ConfigError(refusal(MODEL, "one saved model", " ".join(files) or None, "See runs/*/model.keras."))
    keys = tuple(f"{key}{end}" for key in USED for end in "=.")
    if unused := next((item for item in overrides if not item.startswith(keys)), None):
        raise ConfigError(f"{unused} has no effect on a diagnosis. Expected keys of: {', '.join(USED)}. Leave it out.")
    return Path(files[0]), overrides


def of_run(model: Path, overrides: list[str]) -> list[str]:
    """The settings of the run that the model was saved by, where it lies in a run's folder, as overrides."""
    place = model.parent / schema.CONFIG_FILE
    if not place.exists():
        return []
    saved = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.load(place)))
    values = flatten(cast(Config, saved))
    replaced = OF_DATA if any(item.startswith("data=") for item in overrides) else ()
    return [f"{key}={json.dumps(values[key])}" for key in OF_RUN if key not in replaced]


def configured(overrides: list[str]) -> Config:
    """The checked settings. Raises ConfigError or HydraException."""
    register(run)
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = typed(hydra.compose("config", overrides))
    check_single(config)
    return config


def loaded(model: Path, config: Config, pixels: int) -> "VAE":
    """The model, which these data must fit. Raises ConfigError."""
    import keras

    from src.vae import VAE

    try:
        vae = keras.saving.load_model(model, compile=False)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(refusal(MODEL, "a model that Keras can load", f"{model} ({error})", REMEDY)) from error
    if not isinstance(vae, VAE):
        raise ConfigError(refusal(MODEL, "a VAE of this project", f"{type(vae).__name__} in {model}", REMEDY))
    if vae.pixels != pixels:
        expected, received = f"of {vae.pixels} pixels, as {model} takes", f"{config.data.name} of {pixels}"
        raise ConfigError(refusal("data", expected, received, REMEDY))
    return vae


def main() -> None:
    """Measure, print, draw; refusals become one message and exit code 2."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(__doc__, end="")
        return
    configure_logging()
    try:
        model, overrides = parse(arguments)
        config = configured(of_run(model, overrides) + overrides)
        with tensorflow(config, "src.vae"):
            from src.vae import diagnosis_of

            dataset = data.load(config.data, config.seed)
            found = diagnosis_of(loaded(model, config, dataset.train.shape[1]), dataset, config)
    except (ConfigError, HydraException) as error:
        refuse(error, arguments)
    print(f"{model}: {len(dataset.train)} images of {config.data.name}, B={config.batch_size}, {config.optimizer}\n")
    print(f"{found}\n")
    from src.run.pictures import diagnosis

    figure = model.with_suffix(".diagnosis.png")
    diagnosis(found).savefig(figure, dpi=150)
    print(figure)


if __name__ == "__main__":
    main()
