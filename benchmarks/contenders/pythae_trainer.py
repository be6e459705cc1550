"""The same model in pythae, with its own trainer and its own way to K draws.

pythae's VAE draws once. Its IWAE repeats the posterior K times, draws and decodes; what it makes of the K terms is the
one method `loss_function`, which is replaced: the mean instead of the importance-weighted bound. Encoder and decoder
are those of the model here. Pythae's trainer fetches the images one by one through PyTorch's DataLoader, reads every
step's loss, keeps the best model of all epochs and saves it. RMSprop is PyTorch's, with Keras's constants.

Source: Chadebec, Vincent, Allassonniere (2022), "Pythae".
"""

import tempfile
from typing import Any

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import IWAE, IWAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn

from benchmarks.contenders import Report
from benchmarks.contenders.arrays import pixels_of
from benchmarks.contenders.torch_loop import dense, gaussian_kl, nll
from src.config import Config


class Encoder(BaseEncoder):
    """x [B, pixels] -> mean and log-variance [B, D]."""

    def __init__(self, pixels: int, hidden: int, latent_dim: int):
        super().__init__()
        self.hidden = nn.Sequential(dense(pixels, hidden), nn.ReLU())
        self.q_mean, self.q_log_var = dense(hidden, latent_dim), dense(hidden, latent_dim)

    def forward(self, x: Tensor) -> ModelOutput:
        hidden = self.hidden(x)
        return ModelOutput(embedding=self.q_mean(hidden), log_covariance=self.q_log_var(hidden))


class Decoder(BaseDecoder):
    """z [B K, D] -> logits [B K, pixels]."""

    def __init__(self, pixels: int, hidden: int, latent_dim: int):
        super().__init__()
        self.layers = nn.Sequential(dense(latent_dim, hidden), nn.ReLU(), dense(hidden, pixels))

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


class MeanOfDraws(IWAE):
    """Pythae's IWAE with the mean over the draws as its loss: the negative ELBO."""

    def loss_function(self, recon_x: Tensor, x: Tensor, mu: Tensor, log_var: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        """Loss, NLL and KL: recon_x are logits [B, K, pixels], x [B, pixels], mu and log_var [B, K, D]."""
        error, kl = nll(x, recon_x).mean(), gaussian_kl(mu, log_var).mean()
        return error + kl, error, kl


class Listener(TrainingCallback):
    """Reports every epoch's loss, which pythae takes as the mean over steps."""

    def __init__(self, report: Report):
        self.report = report

    def on_log(self, training_config: BaseTrainerConfig, logs: dict[str, float], **kwargs: Any) -> None:
        self.report(logs["train_epoch_loss"])


def build(config: Config, pixels: int) -> MeanOfDraws:
    (hidden,) = config.model.hidden_dims
    latent_dim = config.model.latent_dim
    settings = IWAEConfig(input_dim=(pixels,), latent_dim=latent_dim, number_samples=config.mc_samples)
    return MeanOfDraws(settings, Encoder(pixels, hidden, latent_dim), Decoder(pixels, hidden, latent_dim))


def train(config: Config, images: np.ndarray, report: Report) -> None:
    """Train as pythae does; what it saves goes to a temporary folder."""
    torch.manual_seed(config.seed)
    pixels = torch.from_numpy(pixels_of(images))
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            optimizer_cls="RMSprop",
            optimizer_params={"alpha": 0.9, "eps": 1e-7},
            seed=config.seed,
            no_cuda=True,
        )
        dataset = BaseDataset(pixels, torch.zeros(len(pixels)))
        BaseTrainer(build(config, pixels.shape[1]), dataset, None, settings, [Listener(report)]).train()
