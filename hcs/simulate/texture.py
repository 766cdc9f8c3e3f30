"""Brightness along neurites: drift and beading, mixed so that only the scale tells them apart."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hcs.simulate.styles import Texture

_RELATIVE_BANDWIDTH: Final = 0.25
_EXTREME: Final = 2.2  # standard deviations; brighter beads would only saturate


def draw_latent(
    rng: np.random.Generator, shape: tuple[int, int], texture: Texture, step_um: float
) -> NDArray[np.float32]:
    """Draw the standard normal process along each neurite from which brightness follows.

    It is the sum of two narrow-band processes whose variances add up to 1 whatever the share of
    beading, so its distribution at any one point is the same for healthy and diseased neurites.

    Parameters
    ----------
    rng
        Generator of this field.
    shape
        (neurites, samples).
    texture
        Wavelengths and share of beading.
    step_um
        Distance of two samples.

    Returns
    -------
    ndarray
        Shape ``shape``, float32, clipped at ± 2.2 standard deviations.
    """
    n = fft.next_fast_len(max(shape[1], 2), real=True)
    drift = _narrow_band(rng, (shape[0], n), step_um / texture.drift_period_um)
    beads = _narrow_band(rng, (shape[0], n), step_um / texture.bead_period_um)
    share = float(np.clip(texture.bead_share, 0.0, 1.0))
    latent = np.sqrt(1 - share) * drift + np.sqrt(share) * beads
    result: NDArray[np.float32] = np.clip(latent[:, : shape[1]], -_EXTREME, _EXTREME)
    return result.astype(np.float32, copy=False)


def brightness(latent: NDArray[np.float32], texture: Texture) -> NDArray[np.float32]:
    """Brightness of mean 1 that belongs to a standard normal latent: a shaft with log-normal beads.

    Parameters
    ----------
    latent
        Any shape.
    texture
        Its ``depth`` and ``shaft``.
    """
    depth, shaft = np.float32(texture.depth), np.float32(texture.shaft)
    result: NDArray[np.float32] = shaft + (1 - shaft) * np.exp(depth * latent - depth**2 / 2)
    return result


def _narrow_band(
    rng: np.random.Generator, shape: tuple[int, int], frequency: float
) -> NDArray[np.float32]:
    """Gaussian noise of variance 1 around one frequency (cycles a sample), along rows."""
    frequencies = fft.rfftfreq(shape[1])
    # a wavelength longer than the row cannot be met: the lowest frequency stands for it
    center = max(frequency, frequencies[1])
    width = max(_RELATIVE_BANDWIDTH * center, frequencies[1] / 2)
    gain = np.exp(-0.5 * ((frequencies - center) / width) ** 2)
    twice = np.full(frequencies.size, 2.0)
    twice[0] = 1.0
    if shape[1] % 2 == 0:
        twice[-1] = 1.0
    gain /= np.sqrt(np.sum(twice * gain**2) / shape[1])
    white = rng.standard_normal(shape, dtype=np.float32)
    filtered = fft.irfft(fft.rfft(white, axis=1) * gain.astype(np.float32), shape[1], axis=1)
    result: NDArray[np.float32] = filtered.astype(np.float32, copy=False)
    return result
