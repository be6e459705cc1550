"""The same model as a plain loop in PyTorch, with Keras's initial weights and RMSprop constants."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from benchmarks.contenders import Report
from benchmarks.contenders.arrays import pixels_of
from src.config import Config


def dense(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class VAE(nn.Module):
    """x [B, pixels], eps [B, K, D] -> logits [B, K, pixels] and KL [B]; one hidden layer on either side, relu."""

    def __init__(self, pixels: int, hidden: int, latent_dim: int):
        super().__init__()
        self.encoder = dense(pixels, hidden)
        self.q_mean = dense(hidden, latent_dim)
        self.q_log_var = dense(hidden, latent_dim)
        self.decoder = nn.Sequential(dense(latent_dim, hidden), nn.ReLU(), dense(hidden, pixels))

    def forward(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        hidden = relu(self.encoder(x))
        mean, log_var = self.q_mean(hidden), self.q_log_var(hidden)
        z = mean[:, None, :] + torch.exp(0.5 * log_var)[:, None, :] * eps
        return self.decoder(z), gaussian_kl(mean, log_var)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL( N(mean, exp(log_var)) || N(0, 1) ), nats, [..., D] -> [...]."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(dim=-1)


def nll(x: Tensor, logits: Tensor) -> Tensor:
    """The binary cross-entropy, nats: x [B, pixels], logits [B, K, pixels] -> [B, K]."""
    targets = x[:, None, :].expand_as(logits)
    return binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=-1)


def loss_of(vae: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """The negative ELBO, mean over the batch."""
    logits, kl = vae(x, eps)
    return (nll(x, logits).mean(dim=1) + kl).mean()


def train(config: Config, images: np.ndarray, report: Report, loss_of: Callable[[VAE, Tensor, Tensor], Tensor]) -> None:
    """Shuffle, slice, step. The loss is read once per epoch, so no step waits for it."""
    torch.manual_seed(config.seed)
    pixels = torch.from_numpy(pixels_of(images))
    (hidden,) = config.model.hidden_dims
    vae = VAE(pixels.shape[1], hidden, config.model.latent_dim)
    optimizer = torch.optim.RMSprop(vae.parameters(), lr=config.learning_rate, alpha=0.9, eps=1e-7)
    for _ in range(config.epochs):
        total = torch.zeros(())
        for rows in torch.randperm(len(pixels)).split(config.batch_size):
            optimizer.zero_grad()
            loss = loss_of(vae, pixels[rows], torch.randn(len(rows), config.mc_samples, config.model.latent_dim))
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        report(total.item() / len(pixels))


def eager(config: Config, images: np.ndarray, report: Report) -> None:
    """Every operation on its own."""
    train(config, images, report, loss_of)


def compiled(config: Config, images: np.ndarray, report: Report) -> None:
    """Loss and gradient compiled, for the size of a batch and for that of a smaller last one; needs a C++ compiler."""
    train(config, images, report, torch.compile(loss_of, dynamic=False))
