"""The same model as a plain eager loop in PyTorch, with Keras's initial weights and RMSprop constants."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from benchmarks.contenders import Report
from src.config import Config
from src.data import Dataset


def dense(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class VAE(nn.Module):
    """x [B, pixels] -> logits [B, K, pixels] and KL [B]; one hidden layer on either side, relu."""

    def __init__(self, pixels: int, hidden: int, latent_dim: int, mc_samples: int):
        super().__init__()
        self.mc_samples = mc_samples
        self.encoder = dense(pixels, hidden)
        self.q_mean = dense(hidden, latent_dim)
        self.q_log_var = dense(hidden, latent_dim)
        self.decoder = nn.Sequential(dense(latent_dim, hidden), nn.ReLU(), dense(hidden, pixels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = relu(self.encoder(x))
        mean, log_var = self.q_mean(hidden), self.q_log_var(hidden)
        eps = torch.randn(len(x), self.mc_samples, mean.shape[-1])
        z = mean[:, None, :] + torch.exp(0.5 * log_var)[:, None, :] * eps
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(dim=-1)
        return self.decoder(z), kl


def train(config: Config, dataset: Dataset, report: Report) -> None:
    """Shuffle, slice, step. The loss is read once per epoch, so no step waits for it."""
    torch.manual_seed(config.seed)
    images = torch.from_numpy(dataset.train.astype(np.float32) / np.float32(255))
    (hidden,) = config.model.hidden_dims
    vae = VAE(images.shape[1], hidden, config.model.latent_dim, config.mc_samples)
    optimizer = torch.optim.RMSprop(vae.parameters(), lr=config.learning_rate, alpha=0.9, eps=1e-7)
    for _ in range(config.epochs):
        total = torch.zeros(())
        for rows in torch.randperm(len(images)).split(config.batch_size):
            x = images[rows]
            optimizer.zero_grad()
            logits, kl = vae(x)
            nll = binary_cross_entropy_with_logits(logits, x[:, None, :].expand_as(logits), reduction="none")
            loss = (nll.sum(dim=-1).mean(dim=1) + kl).mean()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
        report(total.item() / len(images))
