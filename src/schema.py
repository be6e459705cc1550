"""The only spelling of every metric, parameter and tag: key, unit, axis label.

Runs write these keys, tables carry them as columns and figures print their labels.
"""

from collections.abc import Iterable
from typing import NamedTuple

# The MLflow experiment where none is named.
EXPERIMENT = "vae-mc-samples"
# The difference of scores that does not matter, in nats/image, where none is given.
MARGIN = 0.25
# Raised by one whenever a recorded number changes: an entry of CHANGELOG.md that says
# "changes recorded numbers: yes". Part of every run's fingerprint.
NUMERICS = 5


class Quantity(NamedTuple):
    """A number that is recorded: its key in the store, its unit and its axis label."""

    key: str
    unit: str
    label: str

    @property
    def axis(self) -> str:
        """The axis label with its unit, for figures."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


# What a grid is swept over.
MC_SAMPLES = Quantity("mc_samples", "draws/image", "Monte Carlo samples K")
BATCH_SIZE = Quantity("batch_size", "images", "batch size B")
SEED = Quantity("seed", "", "seed")
EPOCH = Quantity("epoch", "", "epoch")

# Once per epoch, at step = epoch, counted from 1.
TRAIN_LOSS = Quantity("train/loss", "nats/image", "training loss")
TRAIN_LOSS_VARIANCE = Quantity("train/loss_variance", "(nats/image)^2", "variance of minibatch losses")
TRAIN_LOSS_VARIANCE_DETRENDED = Quantity(
    "train/loss_variance_detrended", "(nats/image)^2", "variance of minibatch losses around their trend"
)
TRAIN_LOSS_VARIANCE_MC = Quantity("train/loss_variance_mc", "(nats/image)^2", "Monte Carlo part of the loss variance")
TRAIN_SPIKES = Quantity("train/spikes", "steps", "spikes of the minibatch loss")
TRAIN_NLL = Quantity("train/nll", "nats/image", "training reconstruction term")
TRAIN_KL = Quantity("train/kl", "nats/image", "training KL")
# A derivative by weights, which have no unit.
TRAIN_GRAD_NORM = Quantity("train/grad_norm", "nats/image/weight", "mean norm of the minibatch gradient")
TRAIN_SECONDS = Quantity("train/seconds", "s", "training time per epoch")
TRAIN_IMAGES_PER_SECOND = Quantity("train/images_per_second", "images/s", "training speed")
TEST_NEG_ELBO = Quantity("test/neg_elbo", "nats/image", "test negative ELBO")
TEST_NLL = Quantity("test/nll", "nats/image", "test NLL")
TEST_NLL_SEM = Quantity("test/nll_sem", "nats/image", "standard error of the test NLL over images")
TEST_KL = Quantity("test/kl", "nats/image", "test KL")
# Where images are held out.
VALIDATION_NLL = Quantity("validation/nll", "nats/image", "validation NLL")
# Of a forked run, at the last epoch of its trunk: the first 48 bits of the SHA-256 of weights and optimizer state, as
# a number. Runs are paired where it is equal.
FORK_DIGEST = Quantity("fork/digest", "", "digest of the state at the fork")

# Once, at the end of a run.
# The score: by quadrature where there is one, else by importance weighting.
FINAL_TEST_NLL = Quantity("final/test_nll", "nats/image", "final test NLL")
FINAL_TEST_NLL_SEM = Quantity("final/test_nll_sem", "nats/image", "standard error of the final test NLL over images")
FINAL_TEST_NLL_QUADRATURE = Quantity("final/test_nll_quadrature", "nats/image", "final test NLL by quadrature")
# By importance weighting only: the same with a fifth of the draws, and the effective sample size as a share of them.
FINAL_TEST_NLL_FIFTH = Quantity("final/test_nll_fifth", "nats/image", "final test NLL with a fifth of the draws")
FINAL_IW_ESS = Quantity("final/iw_ess", "", "effective sample size of the final draws, as a share of them")
FINAL_TEST_NEG_ELBO = Quantity("final/test_neg_elbo", "nats/image", "final test negative ELBO")
FINAL_TEST_KL = Quantity("final/test_kl", "nats/image", "final test KL")
FINAL_ACTIVE_UNITS = Quantity("final/active_units", "units", "active latent units")
RUN_SECONDS = Quantity("run/seconds", "s", "run time")
RUN_PEAK_RSS_BYTES = Quantity("run/peak_rss_bytes", "bytes", "peak resident memory")
# Of a model.factory in units in which a pass counts as one of the default perceptron.
RUN_MULTIPLY_ADDS = Quantity("run/multiply_adds", "", "multiply-adds of the dense layers")
RUN_RATE = Quantity("run/multiply_adds_per_second", "1/s", "multiply-adds per second of training")

# Where probed, at step = epoch, 0 before training: of the loss, and of the gradient of each part of the model and each
# of its layers, by its name in Keras or "log_var". Of gradients once as sums over weights (traces), once in the metric
# of the optimizer, in which a weight counts by 1 over the second moment of its minibatch gradient.
PROBE_PARTS = ("loss", "encoder", "decoder", "all")
PROBE_COMPONENTS = {
    "var_data": Quantity("var_data", "", "variance between images"),
    "var_data_sem": Quantity("var_data_sem", "", "standard error of the variance between images"),
    "var_mc": Quantity("var_mc", "", "Monte Carlo variance of one draw"),
    "var_mc_sem": Quantity("var_mc_sem", "", "standard error of the Monte Carlo variance"),
    "square_mean": Quantity("square_mean", "", "squared norm of the mean"),
    "mc_ratio_log_sem": Quantity("mc_ratio_log_sem", "", "standard error of log(var_mc / var_data)"),
    "snr_log_sem": Quantity("snr_log_sem", "", "standard error of the logarithm of the signal-to-noise ratio"),
}
# Of the parts' traces; for the others they follow from the components.
PROBE_QUANTITIES = PROBE_COMPONENTS | {
    "snr": Quantity("snr", "", "signal-to-noise ratio of a step"),
    "b_eq": Quantity("b_eq", "images", "batch size at which K=1 is as quiet"),
    "noise_scale": Quantity("noise_scale", "images", "noise scale"),
}
# What one observation of the probe is: the draws in it, and whether var_mc / K is the variance at any K (1) or not (0),
# as the draws of an image depend on each other or the bound is no mean over them.
PROBE_SET_SIZE = Quantity("probe/set_size", "draws", "draws in one observation of the probe")
PROBE_INDEPENDENT = Quantity("probe/independent", "", "independent draws and a bound that is their mean")
PROBE_SECONDS = Quantity("probe/seconds", "s", "time of a probe")
# A loss has nats, a derivative by weights nats per weight. The optimizer's metric divides by the latter.
LOSS_UNIT, TRACE_UNIT, SCALED_UNIT = "(nats/image)^2", "(nats/image/weight)^2", "1"


def probe_key(part: str, quantity: str, scaled: bool = False) -> str:
    """The key of a probed quantity, such as probe/encoder/var_mc or, in the optimizer's metric, .../scaled/var_mc."""
    return f"probe/{part}/{'scaled/' if scaled else ''}{quantity}"


def probe_quantities(part: str, scaled: bool = False) -> Iterable[str]:
    """The names of what is recorded of a part or layer."""
    return PROBE_QUANTITIES if part in PROBE_PARTS and not scaled else PROBE_COMPONENTS


def probed_layers(keys: Iterable[str]) -> set[str]:
    """The layers of which there are probed quantities among some keys."""
    names = {key.split("/")[1] for key in keys if key.startswith("probe/") and key.endswith("/var_mc")}
    return names - set(PROBE_PARTS)


# TRAIN_LOSS_VARIANCE_MC is absent from runs that do not probe.
EPOCH_METRICS = (
    TRAIN_LOSS,
    TRAIN_LOSS_VARIANCE,
    TRAIN_LOSS_VARIANCE_DETRENDED,
    TRAIN_LOSS_VARIANCE_MC,
    TRAIN_SPIKES,
    TRAIN_NLL,
    TRAIN_KL,
    TRAIN_GRAD_NORM,
    TRAIN_SECONDS,
    TRAIN_IMAGES_PER_SECOND,
    TEST_NEG_ELBO,
    TEST_NLL,
    TEST_NLL_SEM,
    TEST_KL,
)
# FINAL_TEST_NLL_QUADRATURE stands beside them for two latent dimensions.
FINAL_METRICS = (
    FINAL_TEST_NLL,
    FINAL_TEST_NLL_SEM,
    FINAL_TEST_NEG_ELBO,
    FINAL_TEST_KL,
    FINAL_ACTIVE_UNITS,
    RUN_SECONDS,
    RUN_PEAK_RSS_BYTES,
    RUN_MULTIPLY_ADDS,
    RUN_RATE,
)

# Of runs whose final NLL is by draws, without quadrature.
BY_DRAWS = (FINAL_TEST_NLL_FIFTH, FINAL_IW_ESS)
METRICS = {
    metric.key for metric in (*EPOCH_METRICS, *FINAL_METRICS, FINAL_TEST_NLL_QUADRATURE, *BY_DRAWS, VALIDATION_NLL)
} | {PROBE_SET_SIZE.key, PROBE_INDEPENDENT.key, PROBE_SECONDS.key}


def is_metric(key: str) -> bool:
    """Whether there are runs that record this metric; a layer that is probed may have any name."""
    head, *names = key.split("/")
    if head != "probe" or len(names) < 2:
        return key in METRICS
    part, quantity, scaled = names[0], names[-1], len(names) == 3
    return quantity in probe_quantities(part, scaled) and key == probe_key(part, quantity, scaled)


# Derived parameter: what the recorded NLL is. Cross-entropy of grayscale pixels is not a likelihood; a density can
# exceed 1, so its negative logarithm can be negative and does not compare with that of a probability.
NLL_KIND = "nll_kind"
PSEUDO_NLL = "BCE pseudo-NLL"
DENSITY_NLL = "negative log-density"
TRUE_NLL = "NLL"

# Derived parameter: which values the data have, whatever their file is called. Runs of two digests are never compared.
DATA_DIGEST = "data.digest"

# Derived parameter of runs with a model.factory: the SHA-256 of the file of its module.
FACTORY, FACTORY_CODE = "model.factory", "model.factory_code"

# Tags of a run.
FINGERPRINT = "fingerprint"
# The parameters that are not part of the fingerprint, with commas: where things are, what they are called.
MACHINERY = "machinery"
STATUS = "status"
SWEEP = "sweep"
FINISHED, FAILED, DIVERGED, KILLED = "finished", "failed", "diverged", "killed"
RUNNING = "running"
# The key of the run's ledger, by which its run in a store is found.
LEDGER = "ledger"
# Of the process that makes the run. Numbers are equal bit for bit for one processor and one number of threads only.
CPU, THREADS = "machine.cpu", "threads.intra_op"
HOST, PID, PROCESS_STARTED, BOOT_ID = "machine.host", "process.pid", "process.started", "process.boot_id"
PARENT_RUN = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
NOTE = "mlflow.note.content"

# Artifacts of a run.
CONFIG_FILE = "config.yaml"
HISTORY_FILE = "history.parquet"
MODEL_FILE = "model.keras"
RECONSTRUCTIONS_FILE = "reconstructions.png"
LATENT_FILE = "latent.png"
MANIFOLD_FILE = "manifold.png"
TRACEBACK_FILE = "traceback.txt"
