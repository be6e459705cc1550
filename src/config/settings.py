"""The typed configuration: every key with its default, its meaning and the values that it admits."""

from dataclasses import dataclass, field
from typing import Any

from src import schema
from src.config.durations import is_duration, is_interval
from src.config.factories import REMEDY, is_spelled
from src.refusal import Domain, at_least, is_count, one_of, or_null, positive
from src.schema import BATCH_SIZE, EXPERIMENT, MARGIN, MC_SAMPLES, SEED, is_metric
from src.writing import label

SIZE = or_null(at_least(1, "null takes every image."))
RATE = positive("The default is learning_rate=0.001.")


def setting(
    default: Any, meaning: str, domain: Domain | None = None, identity: bool = True, added: bool = False
) -> Any:
    """A field of the configuration.

    Args:
        default: its default.
        meaning: its line in --help.
        domain: the values that it admits; None: any value of the type.
        identity: whether it is part of a run's identity. A key that changes no recorded number is not: a place, a
            name, how a grid is executed.
        added: whether some runs are older than the key. These did what null, its default, does; null is left out of
            the fingerprint, so older runs keep their fingerprint.
    """
    metadata = {"meaning": meaning, "domain": domain, "identity": identity, "added": added}
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class DataConfig:
    """The data set, and how its pixels are read."""

    name: str = setting(
        "mnist", "name of the data set", one_of("mnist", "fashion_mnist", "idx", "npz", "linear_gaussian")
    )
    path: str | None = setting(
        None, "folder of IDX files, or an .npz file; null: the folders known for the data set", identity=False
    )
    pixels: str = setting(
        "grayscale",
        "grayscale: intensities, as in the post; dynamic: binarised anew in every epoch; static: binarised once; "
        "real: vectors, not images",
        one_of("grayscale", "dynamic", "static", "real"),
    )
    train_size: int | None = setting(None, "number of training images; null for all", SIZE)
    test_size: int | None = setting(None, "number of test images; null for all", SIZE)
    validation_size: int = setting(
        0, "training images held out, the same for all cells, to choose settings by", at_least(0, "0 holds out none.")
    )


@dataclass
class ModelConfig:
    """The model: a perceptron by its layers, which the decoder mirrors, or one of your own."""

    name: str = setting("post", "name of the architecture, for people only", identity=False)
    factory: str | None = setting(
        None,
        "function that makes encoder and decoder, docs/own_model.md; null: the perceptron of these keys",
        or_null(Domain("package.module:function", is_spelled, REMEDY)),
        added=True,
    )
    hidden_dims: list[int] = setting(
        [256],
        "units of the encoder's hidden layers",
        Domain("a list of positive integers", lambda dims: all(map(is_count, dims)), "For example [256]."),
    )
    latent_dim: int = setting(2, "latent dimensions D", at_least(1, "Use model.latent_dim=2 for the post's model."))
    activation: str = setting(
        "relu", "activation of the hidden layers", one_of("relu", "tanh", "elu", "gelu", "softplus", "sigmoid")
    )
    output_bias: str = setting(
        "zeros", "initial bias of the output; pixel_means: predicts each pixel's mean", one_of("zeros", "pixel_means")
    )


@dataclass
class EvaluationConfig:
    """How the NLL is computed: by quadrature, or by importance weighting, whose draws do not depend on mc_samples."""

    iw_samples: int = setting(5, "draws per test image after each epoch", at_least(1, "The default is 5."))
    final_iw_samples: int = setting(
        5000, "draws L per test image at the end, unless by quadrature", at_least(5, "The default is 5000.")
    )
    final_images: int | None = setting(None, "test images of the final NLL, the same for all runs; null: all", SIZE)
    quadrature: bool = setting(True, "with model.latent_dim=2, compute the final NLL by quadrature, without draws")


@dataclass
class ProbeConfig:
    """The probe: variance components of loss and gradient at frozen weights. It changes no other recorded number."""

    epochs: list[int] = setting(
        [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
        "epochs after which to probe, 0: before training; the last epoch is added; [] for never",
        Domain("a list of non-negative integers", lambda epochs: all(is_count(e, 0) for e in epochs), "As in [0,1,5]."),
    )
    images: int = setting(256, "training images to probe with, at most", at_least(3, "The default is 256."))
    draws: int = setting(
        8,
        "draws per image, independent of mc_samples; more where noise or objective need two sets of mc_samples draws",
        at_least(2, "The default is 8."),
    )


@dataclass
class CheckpointConfig:
    """How often the state of a run is saved, so that it can be resumed after a crash."""

    every: str = setting(
        "1m",
        "epochs (a bare number) or time (30s, 2m, 1h) between checkpoints",
        Domain("a positive number of epochs or a duration", is_interval, "For example 5, 30s or 2m."),
        identity=False,
    )


@dataclass
class ForkConfig:
    """The trunk: first epochs that all cells of a seed have in common, so that they differ by what comes after."""

    epochs: int = setting(
        0, "first epochs, trained alike in every cell: elbo, reparam, iid; 0 for none", at_least(0, "For example 1.")
    )
    mc_samples: int = setting(1, "Monte Carlo samples K of these epochs", at_least(1, "The default is 1."))
    batch_size: int | None = setting(None, "images B per step of these epochs; null: the cell's own", SIZE)
    learning_rate: float | None = setting(
        None, "learning rate of these epochs, constant; null: the cell's own", or_null(RATE)
    )


@dataclass
class StudyConfig:
    """How a grid is executed and decided. It changes no recorded number."""

    plan_only: bool = setting(False, "print what the grid would run and cost, then stop", identity=False)
    rerun: str = setting(
        "failed",
        "earlier cells to run again: failed (or diverged), all, or none",
        one_of("failed", "all", "none"),
        identity=False,
    )
    budget: str | None = setting(
        None,
        "time for the whole grid, such as 30m or 8h; seeds whose cells do not all fit are left out",
        or_null(Domain("a duration such as 30m", is_duration, "For example 30m.")),
        identity=False,
    )
    until: str | None = setting(
        None,
        "decided: add seeds 0, 1, ... until every comparison is decided; null: run the seeds of the grid",
        or_null(one_of("decided")),
        identity=False,
    )
    margin: float = setting(
        MARGIN,
        "difference that does not matter, in the unit of study.metric",
        positive("For example 0.25 nats/image."),
        identity=False,
    )
    seeds: int = setting(10, "seeds at most, with study.until=decided", at_least(4, "Use 10."), identity=False)
    metric: str = setting(
        "final/test_nll",
        "metric that is compared, of which less is better",
        Domain("a metric that runs record", is_metric, "For example final/test_nll or test/nll."),
        identity=False,
    )
    factor: str = setting("mc_samples", "setting whose values are compared; all others are equal", identity=False)
    covarying: list[str] = setting([], "settings that may vary with study.factor, such as [epochs]", identity=False)
    reference: str = setting(
        "max", "value of study.factor that the others are compared with: max, min or the value itself", identity=False
    )
    tune: str | None = setting(
        None, "setting chosen for each value by its validation NLL, of the first seed in a study", identity=False
    )


@dataclass
class TrackingConfig:
    """Where the runs are recorded."""

    uri: str | None = setting(None, "MLflow store; null: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db", identity=False)
    runs: str | None = setting(None, "folder of the ledgers, checkpoints and pictures; null: runs/", identity=False)
    experiment: str = setting(
        EXPERIMENT,
        "name of the MLflow experiment",
        Domain("a non-empty name", lambda name: bool(name.strip()), f"The default is {EXPERIMENT}."),
        identity=False,
    )


@dataclass
class Config:
    """One training run: a cell of a grid."""

    mc_samples: int = setting(
        1, "Monte Carlo samples K per image and step", at_least(1, "Use mc_samples=1 for the single-sample estimate.")
    )
    batch_size: int = setting(100, "images B per step", at_least(1, "The post's value is batch_size=100."))
    seed: int = setting(
        0,
        "seed of initial weights, data order, binarisation and draws",
        Domain("an integer in [0, 2^63)", lambda seed: 0 <= seed < 2**63, "Seeds count from 0: seed=range(0,5)."),
    )
    epochs: int = setting(10, "passes over the training images", at_least(1, "The default is epochs=10."))
    learning_rate: float = setting(1e-3, "learning rate of the optimizer", RATE)
    optimizer: str = setting("rmsprop", "Keras optimizer", one_of("rmsprop", "adam", "sgd"))
    objective: str = setting("elbo", "bound to maximise", one_of("elbo", "iwae", "vr_iwae"))
    alpha: float | None = setting(
        None,
        "of objective=vr_iwae: 0 is IWAE, alpha -> 1 the ELBO; null for the other objectives",
        or_null(Domain("a number in [0, 1)", lambda alpha: 0 <= alpha < 1, "For example alpha=0.5.")),
        added=True,
    )
    kl: str = setting("analytic", "how the KL in the bound is computed", one_of("analytic", "sampled"))
    gradient: str = setting("reparam", "gradient estimator; stl, dreg: no score of q", one_of("reparam", "stl", "dreg"))
    noise: str = setting("iid", "sampler of the K draws of an image", one_of("iid", "antithetic", "sobol"))
    learning_rate_schedule: str = setting(
        "constant", "burda: 3^i/3280 of the epochs at 10^(-i/7) of the rate, i = 0..7", one_of("constant", "burda")
    )
    likelihood: str = setting(
        "bernoulli", "distribution of the pixels", one_of("bernoulli", "continuous_bernoulli", "gaussian")
    )
    compile_cache: bool = setting(
        True, "keep compiled programs in the user's cache folder, for later processes", identity=False
    )
    fork: ForkConfig = field(default_factory=ForkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def by_quadrature(config: Config) -> bool:
    """Whether the final NLL is computed by quadrature, without draws."""
    return config.evaluation.quadrature and config.model.latent_dim == 2


def nll_kind(config: Config) -> str:
    """What the recorded NLL is: of a probability, a density, or neither."""
    if config.likelihood != "bernoulli":
        return schema.DENSITY_NLL
    return schema.PSEUDO_NLL if config.data.pixels == "grayscale" else schema.TRUE_NLL


def title(config: Config) -> str:
    """The short name of a cell, for people."""
    return " ".join(label(key, getattr(config, key)) for key in (MC_SAMPLES.key, BATCH_SIZE.key, SEED.key))
