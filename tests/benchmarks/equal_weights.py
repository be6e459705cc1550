"""The losses of other implementations at given weights: `python -m tests.benchmarks.equal_weights CONTENDER FILE.npz`.

It runs in the contender's environment. The file holds pixels [n, 784], order [T, B], eps [T, B, K, D],
and weights 0, 1, ... in the order of `initial_weights`. It prints a row per step, the loss first.
"""

import json
import sys
from typing import Any

import numpy as np

from src.config import Config

RATE = 1e-3
Case = dict[str, np.ndarray]


def weights_of(case: Case) -> list[np.ndarray]:
    return [case[str(number)] for number in range(len(case) - 3)]


def bare_loop(case: Case) -> Any:
    import tensorflow as tf

    from benchmarks.contenders import tensorflow_loop

    epoch = tensorflow_loop.make_epoch(RATE, lambda eps: eps)
    weights = [tf.constant(value) for value in weights_of(case)]
    inputs = (tf.constant(case[name]) for name in ("pixels", "order", "eps"))
    return epoch(weights, [tf.zeros_like(value) for value in weights], *inputs)[-1].numpy()[:, None]


def jax(case: Case) -> Any:
    from jax import numpy as jnp

    from benchmarks.contenders import jax_scan

    weights = [jnp.array(value) for value in weights_of(case)]
    state = weights, [jnp.zeros_like(value) for value in weights]
    epoch = jax_scan.make_epoch(RATE, lambda eps: eps)
    return np.stack(epoch(state, case["pixels"], case["order"], case["eps"])[1], axis=1)


def set_weights(parameters: list[Any], weights: list[np.ndarray]) -> None:
    """PyTorch's kernels are [outputs, inputs]."""
    import torch

    for parameter, value in zip(parameters, weights, strict=True):
        parameter.data = torch.from_numpy(np.ascontiguousarray(value.T))


def torch(case: Case) -> Any:
    from torch import from_numpy

    from benchmarks.contenders import torch_loop

    vae = torch_loop.VAE(784, 256, 2)
    set_weights([*vae.parameters()], weights_of(case))
    x = from_numpy(case["pixels"][case["order"][0]])
    return [[torch_loop.loss_of(vae, x, from_numpy(case["eps"][0])).item()]]


def pythae(case: Case) -> Any:
    from torch import from_numpy

    from benchmarks.contenders import pythae_trainer

    eps = from_numpy(case["eps"][0])
    vae = pythae_trainer.build(Config(mc_samples=eps.shape[1]), 784)
    set_weights([*vae.encoder.parameters(), *vae.decoder.parameters()], weights_of(case))
    vae._sample_gauss = lambda mean, sd: (mean + eps * sd, eps)
    found = vae({"data": from_numpy(case["pixels"][case["order"][0]])})
    return [[found.loss.item(), found.recon_loss.item(), found.reg_loss.item()]]


STEPS = {"bare loop": bare_loop, "jax": jax, "torch": torch, "pythae": pythae}

if __name__ == "__main__":
    with np.load(sys.argv[2]) as loaded:
        print(json.dumps(np.asarray(STEPS[sys.argv[1]](dict(loaded))).tolist()))
