# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inference in variational autoencoders with different Monte Carlo sample sizes: the post, run
#
# L. Tiao's post shows how a variational autoencoder (VAE) in Keras takes K Monte Carlo samples per image, by
# broadcasting noise of shape `[batch, mc_samples, latent_dim]`. Its code ran on Keras 2. This is the same on Keras 3,
# with the `VAE` of this repository. Each number stands beside the author's, or with the reason for a difference.
#
# `make walkthrough` makes this page, in about five minutes on two cores. `make walkthrough EPOCHS=2` is a quick look.

# %%
import os
import textwrap
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import SVG, display
from keras import ops
from scipy import special

from src import data
from src.config import Config, DataConfig
from src.run import pictures
from src.vae import VAE, Evaluator, make_trainer, train
from src.vae.functional import functional
from src.vae.model import reparameterize

EPOCHS = int(os.environ.get("EPOCHS", 50))  # of the long training
IMAGES = int(os.environ["IMAGES"]) if "IMAGES" in os.environ else None  # for training and test; None: all
BATCH_SIZES = [int(size) for size in os.environ.get("BATCH_SIZES", "100 65 30").split()]  # of the grid
K = 25  # mc_samples, as in the post

plt.rcParams.update({"figure.dpi": 80, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})
digits = data.load(DataConfig(train_size=IMAGES, test_size=IMAGES), seed=0)
x_train, x_test = digits.train.astype(np.float32) / 255, digits.test
print(f"x_train {x_train.shape}, x_test {x_test.shape}, pixels from {x_test.min():.0f} to {x_test.max():.0f}")

# %% [markdown]
# ## The model
#
# The encoder gives the mean and the log-variance of q(z|x), `[batch, 2]` each. The noise eps, `[batch, 25, 2]`, is an
# input. Multiply and Add broadcast over its second axis. The layers of the decoder act on the last axis, so they need
# no change. `functional(vae)` is the post's functional model; it shares its weights with `vae`.

# %%
vae = VAE(mc_samples=K)
post = functional(vae)
for name in ("reparameterization", "vae"):
    display(SVG(filename=f"docs/figures/graphs/{name}_shapes.svg"))
print(f"{vae.count_params():,} weights; {post.count_params():,} in the functional model, the same")

# %% [markdown]
# ## The untrained model
#
# The loss is the negative ELBO: the Bernoulli negative log-likelihood, summed over the pixels, plus the KL. An
# untrained decoder gives every pixel a probability of about 1/2, so the loss is about 784 ln 2 = 543.43, plus a small
# KL. `compile` accepts the post's loss and compares it with the likelihood's. A mean over the pixels would be refused.


# %%
def nll(x, x_mean):
    """The post's loss: binary cross-entropy summed over the pixels, [batch, K]."""
    return ops.sum(ops.binary_crossentropy(ops.broadcast_to(x, ops.shape(x_mean)), x_mean), axis=-1)


vae.compile(optimizer="rmsprop", loss=nll)
untrained = vae.evaluate(x_test, x_test[:, None, :], batch_size=100, verbose=0)
print(f"untrained: {untrained:.2f} nats/image. The author: 543.997 in the post, 543.303 in the notebook.")
print("They differ by the initial weights.")

try:
    vae.compile(optimizer="rmsprop", loss="binary_crossentropy")
except ValueError as error:
    print(textwrap.fill(f"A mean over the pixels: {error}", 100))

# %% [markdown]
# ## Plain Keras
#
# `fit` in the post's words trains the bound. Targets of shape `[n, 1, 784]` are broadcast over the draws; without
# targets they are the images.

# %%
few = x_train[:10_000]
started = time.perf_counter()
history = vae.fit(few, few[:, None, :], batch_size=100, epochs=2, verbose=0).history["loss"]
seconds = time.perf_counter() - started
print(f"two epochs of fit on {len(few):,} images: {history[0]:.1f}, then {history[1]:.1f} nats/image ({seconds:.0f} s)")

# %% [markdown]
# ## Training and validation loss
#
# The author trains with K=25 for 50 epochs through `fit`. Here the epoch is the compiled one of this project, and K=1:
# K=25 alone would take about twenty minutes. The author's notebook with K=1 is the one to compare with; what K changes
# is less than what the seed does ([the study](../../README.md)). Weights do not depend on K: those trained with K=1
# are then used with K=25. (The author's validation images are the test images.)

# %%
config = Config(mc_samples=1, epochs=EPOCHS)
trained = VAE.from_settings(config, 784)
evaluator, losses = Evaluator(trained, x_test), []


def on_epoch(record):
    """Keep training and test loss, nats/image."""
    training = np.average(record.steps["loss"], weights=record.images)
    losses.append((training, evaluator.score(draws=5).neg_elbo.mean()))


started = time.perf_counter()
train(make_trainer(trained, digits, config), config, on_epoch)
seconds = time.perf_counter() - started
training, test = np.array(losses).T
vae.set_weights(trained.get_weights())

AUTHOR = {"K = 1": (189.9761, 172.5720, 148.5373, 151.0519), "K = 25": (189.1686, 172.1967, 149.2758, 152.1779)}
print(f"{EPOCHS} epochs in {seconds:.0f} s\n\n{'nats/image':22}{'epoch 1':>18}{f'epoch {EPOCHS}':>18}")
print(f"{'here, K = 1':22}{training[0]:9.2f}{test[0]:9.2f}{training[-1]:9.2f}{test[-1]:9.2f}")
for label, (first, first_test, last, last_test) in AUTHOR.items():
    print(f"{f'the author, {label}':22}{first:9.2f}{first_test:9.2f}{last:9.2f}{last_test:9.2f}  (epoch 50)")

# %%
figure, axes = plt.subplots(figsize=(7, 3.6))
epochs = np.arange(1, EPOCHS + 1)
for values, label, colour in ((training, "training", "tab:blue"), (test, "test", "tab:orange")):
    axes.plot(epochs, values, color=colour, label=f"{label}, K = 1", marker="." if EPOCHS < 10 else None)
for (label, values), marker in zip(AUTHOR.items(), "x+", strict=True):
    axes.plot([1, 50], values[::2], marker, color="tab:blue", label=f"training, the author, {label}")
    axes.plot([1, 50], values[1::2], marker, color="tab:orange", label=f"test, the author, {label}")
axes.set(xlabel="epoch", ylabel="negative ELBO, nats/image")
axes.legend()
plt.show()

# %% [markdown]
# The author's training loss, as this one, is a mean over an epoch in which the weights change. Equal runs of the
# author differ by 0.5 to 1.3 nats, and Keras 3 has RMSprop's epsilon inside the root, Keras 2 outside.
#
# ## A distribution of reconstructions

# %%
recons = vae.predict(x_test[:1], verbose=0)[0]
different = np.all(recons[1:] == recons[:-1], axis=1)
print(f"recons.shape: {recons.shape}. The author: (25, 784).")
print(f"np.all(recons[0] == recons[-1]): {np.all(recons[0] == recons[-1])}. The author: False.")
print(f"np.all(recons[1:] == recons[:-1], axis=1): {np.sum(~different)} times False. The author: 24 times.")

# %% [markdown]
# ## One test digit beside its 25 reconstructions

# %%
display(pictures.reconstructions(x_test[0].reshape(28, 28), recons.reshape(-1, 28, 28)))

# %% [markdown]
# ## The manifold
#
# The decoder's mean over 15 x 15 points z, normal quantiles of 0.05 to 0.95. In the author's notebook the top row
# decodes z2 = -1.64 and is labelled +1.64. Here z2 grows upwards, as its labels do. Where a digit lies, and which,
# depends on the initial weights: the latent plane may be turned and mirrored.

# %%
quantiles = special.ndtri(np.linspace(0.05, 0.95, 15)).astype(np.float32)
z = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1).reshape(1, -1, 2)
manifold = np.asarray(vae.likelihood.mean(vae.decoder(z))).reshape(-1, 28, 28)
q_mean = np.asarray(vae.encode(x_test).q_mean)


def draw_manifold(axes):
    """Means of the pixels over the latent plane, with the coordinates of the tiles."""
    pictures.ink(axes, pictures.tiles(manifold, 15))
    centres, labels = np.arange(15) * 28 + 14, [f"{q:.2f}" for q in quantiles]
    axes.set_xticks(centres[::2], labels[::2])
    axes.set_yticks(centres[::2], labels[::-1][::2])
    axes.set(xlabel="$z_1$", ylabel="$z_2$")


def draw_latent(axes):
    """Posterior means of the test digits by class."""
    points = axes.scatter(*q_mean.T, c=digits.test_labels, cmap="viridis", s=3, linewidths=0)
    axes.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    plt.colorbar(points, ax=axes, label="digit", ticks=range(10), shrink=0.8)


figure, axes = plt.subplots(figsize=(5.2, 5.2))
draw_manifold(axes)
plt.show()

# %% [markdown]
# ## The latent space
#
# Posterior means of the test digits, in the author's colours and limits.

# %%
figure, axes = plt.subplots(figsize=(7, 5.6))
draw_latent(axes)
plt.show()
beyond = np.mean(np.abs(q_mean).max(axis=1) > 4.5)
print(f"{beyond:.1%} of the digits lie beyond the limits.")

# %% [markdown]
# ## Both side by side

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
draw_manifold(left)
draw_latent(right)
plt.show()

# %% [markdown]
# ## The grid: K=1, 5, 25 at B = 100, 65, 30
#
# The author trains each cell for 50 epochs on 60,000 images, once. Here it is six epochs on 10,000 images, as many
# images as the author's first epoch has: the whole grid would take hours, and one run per cell ranks nothing anyway.
# The [study](../../README.md) answers the question with intervals.

# %%
subset = data.load(DataConfig(train_size=IMAGES or 10_000, test_size=100), seed=0)
grid = {}
for batch_size in BATCH_SIZES:
    for mc_samples in (1, 5, 25):
        cell = Config(mc_samples=mc_samples, batch_size=batch_size, epochs=min(EPOCHS, 6))
        model, curve = VAE.from_settings(cell, 784), []
        trainer = make_trainer(model, subset, cell)
        train(trainer, cell, lambda record: curve.append(np.average(record.steps["loss"], weights=record.images)))  # noqa: B023
        grid[batch_size, mc_samples] = curve

AUTHOR_EPOCH_1 = {100: (189.0, 190.2, 190.2), 65: (184.5, 185.0, 185.1), 30: (177.2, 177.2, 177.4)}
print(f"training loss, nats/image{'K = 1':>12}{'K = 5':>9}{'K = 25':>9}")
for batch_size in BATCH_SIZES:
    author = AUTHOR_EPOCH_1[batch_size]
    own = [np.mean(grid[batch_size, mc_samples]) for mc_samples in (1, 5, 25)]
    print(f"B = {batch_size:3} mean of epochs    {own[0]:10.1f}{own[1]:9.1f}{own[2]:9.1f}")
    print(f"        the author, epoch 1{author[0]:9.1f}{author[1]:9.1f}{author[2]:9.1f}")


# %%
def draw_panel(axes, batch_size):
    """Training loss by epoch, a line for each K."""
    for mc_samples, colour in ((1, "#46b87b"), (5, "#38598c"), (25, "#440f56")):
        curve = grid[batch_size, mc_samples]
        axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, marker=".", label=f"K = {mc_samples}")
    axes.set(title=f"B = {batch_size}", xlabel="epoch")


for batch_size in BATCH_SIZES:
    figure, axes = plt.subplots(figsize=(4.2, 2.8))
    draw_panel(axes, batch_size)
    axes.set_ylabel("training loss, nats/image")
    axes.legend()
    plt.show()

# %%
figure, panels = plt.subplots(1, len(BATCH_SIZES), figsize=(10, 3.4), sharey=True, squeeze=False, layout="constrained")
for axes, batch_size in zip(panels[0], BATCH_SIZES, strict=True):
    draw_panel(axes, batch_size)
panels[0, 0].set_ylabel("training loss, nats/image")
panels[0, -1].legend()
plt.show()

# %% [markdown]
# ## The mean of the log-likelihoods is not the log-likelihood of the mean
#
# The ELBO has the mean over the draws of log p(x|z_k). It is at most the logarithm of the mean likelihood, and at most
# the log-likelihood of the mean output: the logarithm is concave. With K=1 all three are the same. On the trained
# model:

# %%
images = x_test[:1000]
q = vae.encode(images)
output = vae.decoder(reparameterize(q, vae.noise(images)))  # logits, [n, 25, 784]
each = vae.likelihood.log_prob(images[:, None, :], output, None)  # log p(x|z_k), [n, 25]
print(f"{'nats/image':44}{'K = 1':>9}{'K = 5':>9}{'K = 25':>9}")
rows = {
    "mean of the log-likelihoods": [],
    "logarithm of the mean likelihood": [],
    "log-likelihood of the mean output": [],
}
for k in (1, 5, 25):
    of_mean = -nll(images[:, None, :], ops.mean(ops.sigmoid(output[:, :k]), axis=1, keepdims=True))
    values = ops.mean(each[:, :k]), ops.mean(ops.logsumexp(each[:, :k], axis=1)) - np.log(k), ops.mean(of_mean)
    for row, value in zip(rows.values(), values, strict=True):
        row.append(float(value))
for label, row in rows.items():
    print(f"{label:44}{row[0]:9.2f}{row[1]:9.2f}{row[2]:9.2f}")
gap = rows["log-likelihood of the mean output"][2] - rows["mean of the log-likelihoods"][2]
print(f"\nWith the mean first, the loss at K = 25 would be too small by {gap:.2f} nats/image.")

# %% [markdown]
# ## Tiling against broadcasting
#
# Keras 2 asked for targets of the shape of the output, so the post tiles the images to `[n, 25, 784]`, and says itself
# that this is neither slick nor space-efficient. Broadcast targets `[n, 1, 784]` are a view of the images, made in no
# time. An epoch of `fit` is mostly the decoder, on either.

# %%
part = x_train[:2000]
eps = np.random.default_rng(0).normal(size=(len(part), K, 2)).astype(np.float32)
post.compile(optimizer="rmsprop", loss=nll)


def seconds_of_epoch(targets):
    """Seconds of the second epoch of `fit`, after the first has compiled."""
    times = []
    clock = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda *_: times.append(time.perf_counter()),
        on_epoch_end=lambda *_: times.append(time.perf_counter()),
    )
    post.fit([part, eps], targets, batch_size=100, epochs=2, verbose=0, callbacks=[clock])
    return times[3] - times[2]


print(f"{len(part):,} images{'GB for 60,000':>22}{'s to make them':>16}{'s an epoch':>12}")
for label, make in (("tiled", lambda: np.tile(part[:, None, :], (1, K, 1))), ("broadcast", lambda: part[:, None, :])):
    started = time.perf_counter()
    targets = make()
    seconds = time.perf_counter() - started
    gigabytes = targets.nbytes / len(part) * 60_000 / 1e9
    print(f"{label:12}{gigabytes:22.2f}{seconds:16.3f}{seconds_of_epoch(targets):12.2f}")

# %% [markdown]
# ## What to change
#
# `VAE(likelihood="gaussian")` and `likelihood="continuous_bernoulli"` are other distributions of the pixels,
# `hidden_dims`, `latent_dim` and `activation` other networks, `DataConfig(name="fashion_mnist")` other images. The
# same names are settings of `python -m src.train`.
