"""From the geometry of a field to light: neurites, somas and debris in photoelectrons a pixel."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from hcs.domain.constants import FWHM_IN_SDS
from hcs.simulate.neurons import STEP_PX, Floats, Paths, Somas
from hcs.simulate.styles import NeuronStyle
from hcs.simulate.texture import brightness, draw_latent

Image = NDArray[np.float32]

PAD_PX: Final = 12
"""Drawn beyond the frame so that blurring is right at its edges."""

_THICK: Final = 1.9  # a bead's width relative to the thin neurite's
_SWELLING: Final = 0.4  # change of the thick share for one standard deviation of brightness
_SHAFT_UM: Final = 9.0  # neurites are thick where they leave the soma, over this length
_SOMA_GRAIN_UM: Final = 1.5
_NUCLEUS: Final = 0.5  # radius of the nucleus relative to the soma's


def render_neurites(
    rng: np.random.Generator,
    paths: Paths,
    style: NeuronStyle,
    frame: tuple[int, float],
    blur_px: float,
) -> Image:
    """Draw neurites as a thin and a thick layer of samples, each blurred to its width.

    Parameters
    ----------
    rng
        Generator of this field.
    paths
        Center lines.
    style
        Width, brightness and texture.
    frame
        Edge in pixels and pixel size in µm.
    blur_px
        Standard deviation of the optics, folded into the width.

    Returns
    -------
    ndarray
        Shape (image_px + 2 × PAD_PX,) twice, float32. The peak brightness of a neurite does not
        depend on its width.
    """
    image_px, pixel_size_um = frame
    edge = image_px + 2 * PAD_PX
    n, m = paths.y.shape
    step_um = STEP_PX * pixel_size_um
    latent = draw_latent(rng, (n, m), style.texture, step_um)
    spread = np.exp(0.25 * rng.standard_normal((n,)) - 0.03)
    level = style.neurite_electrons * spread * np.where(paths.order > 1, 0.85, 1.0)
    caliber = rng.uniform(0.0, 0.5, (n,))
    along_um = np.arange(m) * step_um
    shaft = np.where(paths.order[:, None] == 1, np.exp(-along_um / _SHAFT_UM)[None, :], 0.0)
    thick = np.clip(caliber[:, None] + _SWELLING * latent + shaft, 0.0, 1.0)
    light = level[:, None] * brightness(latent, style.texture) * (1 + 0.3 * shaft)
    y, x = paths.y + PAD_PX, paths.x + PAD_PX
    use = paths.valid & (y > 1) & (x > 1) & (y < edge - 2) & (x < edge - 2)
    y, x, light, thick = y[use], x[use], light[use], thick[use]
    sigma = style.neurite_width_um / pixel_size_um / FWHM_IN_SDS
    total = np.zeros((edge, edge), dtype=np.float32)
    for width, share in ((sigma, 1 - thick), (_THICK * sigma, thick)):
        blurred = float(np.hypot(width, blur_px))
        # a line of unit density that is blurred by s peaks at 1 / (s √(2π)); the brightness given
        # is the peak before the optics, so the optics dims a line as it really does
        density = light * share * (STEP_PX * width * np.sqrt(2 * np.pi))
        total += ndimage.gaussian_filter(splat(y, x, density, edge), blurred, truncate=3.5)
    return total


def splat(y: Floats, x: Floats, weight: NDArray[np.floating], edge: int) -> Image:
    """Put weights at fractional positions into a square image, bilinearly; the sum is kept.

    Parameters
    ----------
    y, x, weight
        Shape (n,); positions from 0 up to but not including ``edge - 1``.
    edge
        Edge of the image.

    Returns
    -------
    ndarray
        Shape (edge, edge), float32.
    """
    row, column = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    fy, fx = y - row, x - column
    corner = row * edge + column
    index = np.concatenate([corner, corner + 1, corner + edge, corner + edge + 1])
    low, high = weight * (1 - fy), weight * fy
    parts = np.concatenate([low * (1 - fx), low * fx, high * (1 - fx), high * fx])
    summed = np.bincount(index, parts, minlength=edge * edge)[: edge * edge]
    return summed.reshape(edge, edge).astype(np.float32)


def add_somas(
    rng: np.random.Generator,
    image: Image,
    somas: Somas,
    style: NeuronStyle,
    pixel_size_um: float,
    blur_px: float,
) -> None:
    """Draw cell bodies over the neurites, in place.

    A soma hides what passes under it. It is domed, its nucleus is dimmer, its cytoplasm grainy.

    Parameters
    ----------
    rng
        Generator of this field.
    image
        Shape (image_px + 2 × PAD_PX,) twice.
    somas
        Cell bodies; those outside the image are skipped.
    style
        Brightness.
    pixel_size_um
        Pixel size.
    blur_px
        Standard deviation of the optics, which softens the border.
    """
    n = somas.y.size
    edge_px = np.hypot(0.5, blur_px)
    level = style.soma_electrons * np.exp(0.3 * rng.standard_normal(n) - 0.045)
    nucleus = rng.uniform(0.1, 0.5, n)
    shift = rng.normal(0, 0.15, (n, 2))
    for index in range(n):
        reach = int(np.ceil(somas.semi_x[index] + 3 * edge_px)) + 1
        center_y, center_x = somas.y[index] + PAD_PX, somas.x[index] + PAD_PX
        rows = np.arange(
            max(int(center_y) - reach, 0), min(int(center_y) + reach + 2, image.shape[0])
        )
        columns = np.arange(
            max(int(center_x) - reach, 0), min(int(center_x) + reach + 2, image.shape[1])
        )
        if rows.size == 0 or columns.size == 0:
            continue
        y, x = (rows - PAD_PX)[:, None].astype(float), (columns - PAD_PX)[None, :].astype(float)
        depth = somas.depth_px(index, y, x)
        cover = special.ndtr(depth / edge_px)
        radius = somas.radius_px[index]
        dome = 0.75 + 0.25 * np.clip(2 * depth / radius, 0, 1)
        away = np.hypot(
            y - somas.y[index] - shift[index, 0] * radius,
            x - somas.x[index] - shift[index, 1] * radius,
        )
        hole = nucleus[index] / (1 + np.exp((away - _NUCLEUS * radius) / 1.0))
        noise = rng.standard_normal(depth.shape, dtype=np.float32)
        sigma = _SOMA_GRAIN_UM / pixel_size_um
        grain = ndimage.gaussian_filter(noise, sigma) * (0.12 * 2 * np.sqrt(np.pi) * sigma)
        body = level[index] * dome * (1 - hole) * (1 + grain)
        window = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        window += (cover * (body - window)).astype(np.float32)
