"""The variational autoencoder: draws, densities, bounds, gradient estimators, training, evaluation and the probe."""

from src.vae.diagnosis import Diagnosis, diagnose, diagnosis_of
from src.vae.evaluation import Evaluator, Scores
from src.vae.model import VAE
from src.vae.probe import Probe, is_due
from src.vae.programs import Programs, programs_for
from src.vae.training import Diverged, EpochRecord, EpochTrainer, make_trainer, train
