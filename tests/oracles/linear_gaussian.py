"""Closed forms that estimates must agree with: the linear-Gaussian VAE, its values, gradients and their variances.

With A = S W'W S, S = diag(delta), xt = x - mu, m = V xt and r = xt - W m, the loss of one draw is a quadratic in eps,

    loss = |r - W S eps|^2 / (2 s2) + (d/2) ln(2 pi s2) + KL,   z = m + S eps,

whose moments are exact. Variances of vectors are traces. B is a number of images, d their size, q that of the latents.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Estimator = Literal["analytic", "sampled", "stl"]


class DrawMoments(NamedTuple):
    """One draw's gradient of each datum's loss: its mean [B, ...] and the trace of its variance [B], over eps."""

    mean: Array
    variance: Array


class Components(NamedTuple):
    """Variance over data of the mean over eps, and mean over data of the variance over eps of one draw."""

    var_data: float
    var_mc: float


def components(mean: Array, variance: Array) -> Components:
    """The two parts of the variance over a data set, from each datum's moments over eps.

    Args:
        mean: E[g | x_i], [N, ...].
        variance: tr Var[g | x_i], [N].
    Returns:
        var_data with divisor N - 1, so that B of N without replacement have ((1 - B/N) var_data + var_mc / K) / B.
    """
    deviations = (mean - mean.mean(axis=0)).reshape(len(mean), -1)
    return Components(float(np.sum(deviations**2) / (len(mean) - 1)), float(variance.mean()))


@dataclass(frozen=True, eq=False)
class LinearGaussianVAE:
    """z ~ N(0, I), x|z ~ N(W z + mu, s2 I), q(z|x) = N(V (x - mu), diag(delta^2)): probabilistic PCA as a VAE.

    W: [d, q]. mu: [d]. s2: variance of a pixel. V: [q, d]. delta: standard deviations of q, [q].
    Source: Tipping and Bishop (1999), eqs. 1-6; Lucas, Tucker, Grosse, Norouzi (2019).
    """

    W: Array
    mu: Array
    s2: float
    V: Array
    delta: Array

    @classmethod
    def maximum_likelihood(cls, mean: Array, covariance: Array, latent_dim: int) -> "LinearGaussianVAE":
        """The model of most likelihood for data of this mean [d] and covariance [d, d] with divisor N.

        W = U_q (Lam_q - s2 I)^(1/2), s2 the mean of the d - q smallest eigenvalues, with the optimal encoder. W'W is
        diagonal, so mean ELBO = mean log p = -1/2 [d ln 2 pi + sum_{j<=q} ln lam_j + (d-q) ln s2 + d].
        Source: Tipping and Bishop (1999), eqs. 7-8.
        """
        eigenvalues, vectors = np.linalg.eigh(covariance)
        s2 = float(eigenvalues[:-latent_dim].mean())
        loadings = vectors[:, -latent_dim:] * np.sqrt(eigenvalues[-latent_dim:] - s2)
        unfitted = cls(loadings, mean, s2, np.zeros(loadings.T.shape), np.ones(latent_dim))
        return unfitted.with_optimal_encoder()

    def with_optimal_encoder(self) -> "LinearGaussianVAE":
        """The same decoder with V = P^-1 W', delta_j^2 = s2 / P_jj, P = W'W + s2 I; exact iff W'W is diagonal."""
        precision = self._precision()
        encoder = np.linalg.solve(precision, self.W.T)
        return replace(self, V=encoder, delta=np.sqrt(self.s2 / np.diag(precision)))

    def _precision(self) -> Array:
        """s2 times the posterior precision, P = W'W + s2 I, [q, q]."""
        return self.W.T @ self.W + self.s2 * np.eye(self.W.shape[1])

    def _latents(self, x: Array) -> tuple[Array, Array, Array]:
        """xt = x - mu [B, d], m = V xt [B, q] and r = xt - W m [B, d]."""
        centred = x - self.mu
        q_mean = centred @ self.V.T
        return centred, q_mean, centred - q_mean @ self.W.T

    def _spread(self) -> Array:
        """W S, [d, q]: what a unit of eps does to the reconstruction."""
        return self.W * self.delta

    def log_prob(self, x: Array) -> Array:
        """log p(x) = log N(x; mu, W W' + s2 I), nats, [B], by way of P [q, q] alone."""
        centred, precision, d = x - self.mu, self._precision(), len(self.mu)
        projected = centred @ self.W
        explained = np.sum(projected * np.linalg.solve(precision, projected.T).T, axis=1)
        log_det = (d - len(precision)) * math.log(self.s2) + np.linalg.slogdet(precision)[1]
        square = (np.sum(centred**2, axis=1) - explained) / self.s2
        return -0.5 * (d * math.log(2 * math.pi) + log_det + square)

    def kl(self, x: Array) -> Array:
        """KL(q(z|x) || p(z)) = 1/2 (sum_j delta_j^2 - ln delta_j^2 - 1 + |m|^2), nats, [B]."""
        _, q_mean, _ = self._latents(x)
        return 0.5 * (np.sum(self.delta**2 - 2 * np.log(self.delta) - 1) + np.sum(q_mean**2, axis=1))

    def elbo(self, x: Array) -> Array:
        """E_q log p(x|z) - KL = -(|r|^2 + tr A) / (2 s2) - (d/2) ln(2 pi s2) - KL, nats, [B]."""
        _, _, residual = self._latents(x)
        square = np.sum(residual**2, axis=1) + np.sum(self._spread() ** 2)
        return -square / (2 * self.s2) - len(self.mu) / 2 * math.log(2 * math.pi * self.s2) - self.kl(x)

    def loss_variance(
        self, x: Array, kl: Literal["analytic", "sampled"] = "analytic", antithetic: bool = False
    ) -> Array:
        """Var_eps[loss | x] of one draw, or of the mean over one antithetic pair, nats^2, [B].

            analytic: (|S W'r|^2 + 1/2 tr A^2) / s2^2
            sampled:  |S (m - W'r / s2)|^2 + 1/2 tr H^2,   H = S^2 + A / s2 - I,   zero where q is the posterior

        The mean over K draws divides by K. A pair loses the first term, which is odd in eps, and keeps the second: both
        of its draws have the same even part. The mean over K/2 pairs divides that by K/2.
        """
        _, q_mean, residual = self._latents(x)
        spread = self._spread()
        linear, quadratic = -residual @ spread / self.s2, spread.T @ spread / self.s2
        if kl == "sampled":
            linear = linear + q_mean * self.delta
            quadratic = quadratic + np.diag(self.delta**2 - 1)
        even = 0.5 * np.sum(quadratic**2)
        return np.full(len(x), even) if antithetic else np.sum(linear**2, axis=1) + even

    def gaussian_loss_components(self, second_moment: Array) -> Components:
        """The parts of the loss's variance (one draw, analytic KL) over Gaussian data with E xt = 0, E xt xt' = Sig.

        var_mc = { tr[W Dg W' (I-WV) Sig (I-WV)'] + 1/2 tr A^2 } / s2^2   for any xt of this second moment
        var_data = 1/2 tr(Q Sig Q Sig),   Q = V'V + (I-WV)'(I-WV) / s2
        """
        spread, rest = self._spread(), np.eye(len(self.mu)) - self.W @ self.V
        through = spread.T @ rest
        linear = np.sum(through @ second_moment * through)
        form = (self.V.T @ self.V + rest.T @ rest / self.s2) @ second_moment
        var_mc = (linear + 0.5 * np.sum((spread.T @ spread) ** 2)) / self.s2**2
        return Components(float(0.5 * np.sum(form * form.T)), float(var_mc))

    def gradient_W(self, x: Array) -> DrawMoments:
        """Of the loss wrt W, G = -(r - W S eps) z' / s2: mean -(r m' - W Dg) / s2, [B, d, q].

        tr Var = { |r|^2 tr Dg + |m|^2 tr(W Dg W') - 2 r'W Dg m + tr(W Dg^2 W') + tr Dg tr(W Dg W') } / s2^2. The KL,
        analytic or sampled, does not depend on W.
        """
        _, q_mean, residual = self._latents(x)
        spread, variances = self._spread(), self.delta**2
        mean = -(residual[:, :, None] * q_mean[:, None, :] - self.W * variances) / self.s2
        total, explained = np.sum(variances), np.sum(spread**2)
        variance = (
            np.sum(residual**2, axis=1) * total
            + np.sum(q_mean**2, axis=1) * explained
            - 2 * np.sum(residual @ (self.W * variances) * q_mean, axis=1)
            + np.sum((self.W * variances) ** 2)
            + total * explained
        )
        return DrawMoments(mean, variance / self.s2**2)

    def gradient_q_mean(self, x: Array, estimator: Estimator = "analytic") -> DrawMoments:
        """Of the loss wrt m = q_mean: mean m - W'r / s2, [B, q], for each estimator.

        tr Var = |M S|_F^2 with M = W'W / s2 (analytic KL), I + W'W / s2 (sampled KL), I + W'W / s2 - S^-2 (STL: sampled
        KL with log q's own parameters held fixed; zero where q is the posterior).
        """
        _, q_mean, residual = self._latents(x)
        curvature = self.W.T @ self.W / self.s2
        if estimator != "analytic":
            curvature = curvature + np.eye(len(curvature))
        if estimator == "stl":
            curvature = curvature - np.diag(self.delta**-2)
        variance = np.sum((curvature * self.delta) ** 2)
        return DrawMoments(q_mean - residual @ self.W / self.s2, np.full(len(x), variance))

    def gradient_V(self, x: Array, estimator: Estimator = "analytic") -> DrawMoments:
        """Of the loss wrt V, the gradient wrt m times xt': mean [B, q, d], tr Var that of m times |xt|^2."""
        centred, _, _ = self._latents(x)
        mean, variance = self.gradient_q_mean(x, estimator)
        return DrawMoments(mean[:, :, None] * centred[:, None, :], variance * np.sum(centred**2, axis=1))

    def gradient_log_delta(self, x: Array) -> DrawMoments:
        """Of the loss (analytic KL) wrt ln delta_j: mean (W'W)_jj delta_j^2 / s2 + delta_j^2 - 1, [B, q].

        Var = sum_j delta_j^2 { (W'r)_j^2 + sum_{l!=j} (W'W)_jl^2 delta_l^2 + 2 (W'W)_jj^2 delta_j^2 } / s2^2.
        """
        _, _, residual = self._latents(x)
        gram, variances = self.W.T @ self.W, self.delta**2
        mean = np.diag(gram) * variances / self.s2 + variances - 1
        quadratic = gram**2 @ variances + np.diag(gram) ** 2 * variances  # the diagonal term counts twice
        variance = ((residual @ self.W) ** 2 + quadratic) @ variances / self.s2**2
        return DrawMoments(np.tile(mean, (len(x), 1)), variance)

    def gradient_log_s2(self, x: Array) -> DrawMoments:
        """Of the loss wrt ln s2, d/2 - |r - W S eps|^2 / (2 s2): mean [B]; Var is that of the loss with analytic KL."""
        _, _, residual = self._latents(x)
        square = np.sum(residual**2, axis=1) + np.sum(self._spread() ** 2)
        return DrawMoments(len(self.mu) / 2 - square / (2 * self.s2), self.loss_variance(x))
