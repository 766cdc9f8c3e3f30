"""What a microscope makes of the light: background, debris, scatter, shot and read noise."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.simulate.render import PAD_PX, Image
from hcs.simulate.styles import OpticsStyle

_MAX_COUNT: Final = 65535
_COARSE: Final = 8
_HAZE_UM: Final = 14.0
_WAVES: Final = 4


def add_debris(
    rng: np.random.Generator, image: Image, optics: OpticsStyle, pixel_size_um: float
) -> None:
    """Add bright spots, short fragments and out-of-focus clumps that are not cells, in place.

    Parameters
    ----------
    rng
        Generator of this field.
    image
        Shape (Y, X) with its padding, photoelectrons a pixel.
    optics
        Density of debris.
    pixel_size_um
        Pixel size.
    """
    area_mm2 = image.size * (pixel_size_um / 1000) ** 2
    n = int(rng.poisson(optics.debris_per_mm2 * area_mm2))
    centers = rng.uniform(0, 1, (n, 2)) * np.array(image.shape)
    narrow_um = rng.uniform(0.5, 1.2, n)
    long_um = narrow_um * (1 + rng.exponential(0.8, n))
    clump = rng.random(n) < 0.12
    narrow_um[clump], long_um[clump] = rng.uniform(3, 8, (2, int(clump.sum())))
    peak = rng.lognormal(np.log(90), 0.6, n)
    peak[clump] = rng.uniform(8, 25, int(clump.sum()))
    angle = rng.uniform(0, np.pi, n)
    for index in range(n):
        across = np.hypot(narrow_um[index] / pixel_size_um, optics.blur_px)
        length = np.hypot(long_um[index] / pixel_size_um, optics.blur_px)
        reach = int(np.ceil(3 * max(across, length)))
        row, column = (int(value) for value in centers[index])
        top, left = max(row - reach, 0), max(column - reach, 0)
        window = image[top : row + reach + 1, left : column + reach + 1]
        y = np.arange(top, top + window.shape[0])[:, None] - centers[index, 0]
        x = np.arange(left, left + window.shape[1])[None, :] - centers[index, 1]
        u = np.cos(angle[index]) * x + np.sin(angle[index]) * y
        v = np.cos(angle[index]) * y - np.sin(angle[index]) * x
        spot = peak[index] * np.exp(-0.5 * ((u / length) ** 2 + (v / across) ** 2))
        window += spot.astype(np.float32)


def expose(
    rng: np.random.Generator, light: Image, optics: OpticsStyle, pixel_size_um: float
) -> NDArray[np.uint16]:
    """Turn light into the counts of a camera.

    Parameters
    ----------
    rng
        Generator of this field.
    light
        Shape (image_px + 2 × PAD_PX,) twice, photoelectrons a pixel without background.
    optics
        Background, illumination, scatter and camera.
    pixel_size_um
        Pixel size.

    Returns
    -------
    ndarray
        Shape (image_px,) twice, uint16; at least 1 everywhere.
    """
    edge = light.shape[0] - 2 * PAD_PX
    frame = light[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]
    haze = _scatter_light(light, _HAZE_UM / pixel_size_um)[PAD_PX:-PAD_PX, PAD_PX:-PAD_PX]
    slow = _slow_waves(rng, edge)
    background = np.float32(optics.background_electrons) * (
        1 + np.float32(optics.unevenness) * slow
    )
    total = frame * np.float32(1 - optics.haze) + np.float32(optics.haze) * haze + background
    total *= np.float32(optics.illumination) * _vignette(rng, edge, optics.vignetting)
    np.maximum(total, np.float32(0.5), out=total)
    electrons = rng.poisson(total).astype(np.float32)
    read = rng.standard_normal(total.shape, dtype=np.float32)
    counts = electrons * np.float32(optics.gain_counts) + np.float32(optics.offset_counts)
    counts += np.float32(optics.read_noise_counts) * read
    exposed: NDArray[np.uint16] = np.clip(np.rint(counts), 1, _MAX_COUNT).astype(np.uint16)
    return exposed


def _scatter_light(light: Image, sigma_px: float) -> Image:
    """Blur widely, on a coarse grid for speed; same shape."""
    pad = [(0, -size % _COARSE) for size in light.shape]
    padded = np.pad(light, pad, mode="edge")
    rows, columns = (size // _COARSE for size in padded.shape)
    coarse = padded.reshape(rows, _COARSE, columns, _COARSE).mean(axis=(1, 3))
    coarse = ndimage.gaussian_filter(coarse, sigma_px / _COARSE, mode="nearest")
    tall = _stretch_rows(coarse, light.shape[0])
    return np.ascontiguousarray(_stretch_rows(np.ascontiguousarray(tall.T), light.shape[1]).T)


def _stretch_rows(coarse: Image, size: int) -> Image:
    """Linear interpolation along the first axis from block centers to single pixels."""
    place = (np.arange(size) + 0.5) / _COARSE - 0.5
    place = np.clip(place, 0, coarse.shape[0] - 1)
    below = np.minimum(place.astype(np.intp), max(coarse.shape[0] - 2, 0))
    above = np.minimum(below + 1, coarse.shape[0] - 1)
    share = (place - below).astype(np.float32)[:, None]
    result: Image = coarse[below] * (1 - share) + coarse[above] * share
    return result


def _slow_waves(rng: np.random.Generator, edge: int) -> Image:
    """Smooth random surface of about unit amplitude over the field, shape (edge, edge)."""
    amplitude = rng.standard_normal((_WAVES, _WAVES)) / (
        1 + np.add.outer(np.arange(_WAVES), np.arange(_WAVES))
    )
    amplitude[0, 0] = 0.0  # the mean belongs to the style
    place = (np.arange(edge) + 0.5) / edge
    waves = np.cos(np.pi * np.arange(_WAVES)[None, :] * place[:, None])
    rows = np.zeros((edge, _WAVES))
    for wave in range(_WAVES):  # sums in a fixed order: BLAS may add in another one elsewhere
        rows += waves[:, wave : wave + 1] * amplitude[wave][None, :]
    surface = np.zeros((edge, edge), dtype=np.float32)
    for wave in range(_WAVES):
        surface += (rows[:, wave : wave + 1] * waves[:, wave][None, :]).astype(np.float32)
    return np.clip(surface, -2.5, 2.5)


def _vignette(rng: np.random.Generator, edge: int, strength: float) -> Image:
    """Loss of light toward the corners around a slightly shifted center; 1 at that center."""
    shift = rng.normal(0, 0.06, 2)
    place = (np.arange(edge) + 0.5) / edge - 0.5
    square = ((place - shift[0]) ** 2)[:, None] + ((place - shift[1]) ** 2)[None, :]
    light: Image = (1 - strength * square / 0.5).astype(np.float32)
    return light
