"""Wide bright haze of glare and bubbles: taken off, and left out where it hides what is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.planes import GlareTuning
from hcs.domain.tuning.sets import DEFAULTS, Tuning
from hcs.ops.filters import FloatPlane, enlarge, smooth
from hcs.ops.quality import estimate_noise
from hcs.ops.resizing import downsample_mean

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Glare:
    """Glare of one field.

    Attributes
    ----------
    haze
        Shape (Y, X), counts above the background that the haze itself has.
    mask
        Shape (Y, X): where there is glare.
    blinding
        Shape (Y, X): where its noise hides what lies there.
    """

    haze: FloatPlane
    mask: Mask
    blinding: Mask


def find_glare(
    values: FloatPlane,
    background: FloatPlane,
    soma_diameter_px: float,
    tuning: Tuning = DEFAULTS,
) -> Glare | None:
    """Find haze that is steeper than a background may be, and so was left over as signal.

    What an opening leaves of a wide dome is smooth: an opening with a smaller window takes hardly
    anything off. Of somas, and of clumps of them, it takes most.

    Parameters
    ----------
    values, background
        Shape (Y, X), in counts.
    soma_diameter_px
        Typical diameter of a soma.
    tuning
        Constants of the kernels.

    Returns
    -------
    Glare or None
        None where there is none, which is usual.
    """
    tuned = tuning.glare
    noise = estimate_noise(values)
    factor = max(1, int(soma_diameter_px / tuning.background.blocks_per_soma))
    least = max(tuned.min_noise_multiple * noise / factor, 1e-6)
    rest = downsample_mean(values - background, factor)
    haze = np.zeros_like(rest)
    known: Mask | None = None
    for _ in range(tuned.passes):
        dome, known = _find_dome(rest, least, soma_diameter_px / factor, tuned, known)
        if not known.any():
            return None
        haze += dome
        rest = rest - dome
    whole = enlarge(haze, factor, values.shape)
    around = background + whole
    ground = np.float32(np.percentile(around[::4, ::4], tuned.ground_percentile))
    raised = np.maximum(around - ground, 0)
    local, usual = _local_noise(values, tuned)
    blinding = (raised > tuned.min_noise_multiple * usual) & (local > tuned.blinding_noises * usual)
    mask = (whole > least) | blinding
    return Glare(whole + np.float32(tuned.margin_share) * raised, mask, blinding)


def _find_dome(
    rest: FloatPlane, least: float, soma_blocks: float, tuning: GlareTuning, known: Mask | None
) -> tuple[FloatPlane, Mask]:
    """Wide domes of a coarse plane where glare is known, or where they are smooth; and where."""
    window = 2 * round(tuning.window_somas * soma_blocks / 2) + 1
    opened = ndimage.grey_opening(rest, size=(window, window), mode="nearest")
    if known is None:
        regions, count = ndimage.label(opened > least)
        index = np.arange(count + 1)
        kept, whole = (ndimage.mean(plane, regions, index) for plane in (opened, rest))
        glaring = kept >= tuning.min_smooth * np.maximum(whole, 1e-9)
        glaring &= np.bincount(regions.ravel()) >= (tuning.min_somas * soma_blocks) ** 2
        glaring[0] = False
        known = glaring[regions]
    dome = np.where(known, np.maximum(opened, 0), 0).astype(np.float32)
    return smooth(dome, 1.0), known


def _local_noise(values: FloatPlane, tuning: GlareTuning) -> tuple[FloatPlane, float]:
    """Noise of a pixel, block by block, and the usual one: somas are few pixels of a block."""
    edge = tuning.noise_block_px
    rows, columns = (-(-size // edge) for size in values.shape)
    coarse = np.zeros((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            part = values[row * edge : (row + 1) * edge, column * edge : (column + 1) * edge]
            coarse[row, column] = estimate_noise(part)
    return enlarge(coarse, edge, values.shape), float(
        np.percentile(coarse, tuning.usual_percentile)
    )
