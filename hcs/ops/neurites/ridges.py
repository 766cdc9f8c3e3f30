"""Middle lines of bright ridges, told from noise by the spread of the response itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hcs.domain.config.stages import FixedLevel, Otsu, Threshold
from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.compiled import ridge_centers, ridge_strength
from hcs.ops.filters import FloatPlane, smooth

_NOWHERE: Final = np.zeros(0, np.intp)
_NOTHING: Final = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Ridges:
    """Curvature of a blurred plane.

    Attributes
    ----------
    strength
        Shape (Y, X), float32, counts: how much the pixel looks like the middle of a bright line.
    sigma_px
        Standard deviation of the blur.
    blurred
        Shape (Y + 2, X + 2), float32: the blurred plane with its edges repeated once.
    """

    strength: FloatPlane
    sigma_px: float
    blurred: FloatPlane


@dataclass(frozen=True, slots=True)
class Centers:
    """Pixels on the middle of a ridge that exceed the low level.

    Attributes
    ----------
    y, x
        Where they are, shape (N,).
    strength, height
        Strength of the ridge, and height of the blurred plane above background, in counts.
    high, low
        Levels of the strength: what noise does not reach, and down to where a line is followed;
        0 without structure.
    tuning
        Constants that they were found with.
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    strength: FloatPlane
    height: FloatPlane
    high: float
    low: float
    tuning: NeuriteTuning

    @property
    def on_line(self) -> NDArray[np.bool_]:
        """Which of them lie on strong narrow lines, shape (N,)."""
        clear: NDArray[np.bool_] = self.strength > np.maximum(
            self.tuning.ridges.line_contrast * self.height, self.high
        )
        return clear

    @property
    def brightness(self) -> float:
        """Median height of the lines in the blurred plane, in counts; 0 without lines."""
        on_line = self.on_line
        return (
            float(np.median(self.height[on_line]))
            if on_line.sum() >= self.tuning.ridges.min_line_px
            else 0.0
        )


def find_ridges(
    image: FloatPlane, sigma_px: float, tuning: NeuriteTuning = DEFAULTS.neurites
) -> Ridges:
    """Measure the negative curvature across bright lines, normalized for scale.

    Modified Hessian of Meijering et al. 2004 (doi 10.1002/cyto.a.20022): ``-(l1 - l2 / 3)`` with
    the eigenvalues ``l1 <= l2``, negative values set to 0. It is raised where a line dims
    between two beads and lowered on round spots.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    sigma_px
        Standard deviation of the Gaussian; about half of the line's width.
    tuning
        Constants of the kernel.

    Returns
    -------
    Ridges
        Strength in counts: multiplied with ``sigma_px`` squared.
    """
    padded = np.pad(smooth(image, sigma_px), 1, mode="edge")
    return Ridges(ridge_strength(padded, tuning.ridges.alpha, float(sigma_px**2)), sigma_px, padded)


def find_centers(
    ridges: Ridges, threshold: Threshold, tuning: NeuriteTuning = DEFAULTS.neurites
) -> Centers:
    """Find pixels on the middle of a ridge.

    A pixel is on the middle line when the top of the parabola across the ridge lies within it
    (Steger 1998, doi 10.1109/34.659930).

    Parameters
    ----------
    ridges
        See :func:`find_ridges`.
    threshold
        ``noise``: the high level is a multiple of the response's own spread; ``otsu``: Otsu's
        level of the positive responses; ``fixed``: given in counts of the response.
    tuning
        Constants of the kernel.

    Returns
    -------
    Centers
        Of no pixels for an image without structure.
    """
    strength = ridges.strength
    high = _high_level(strength, threshold, tuning)
    low = high * tuning.ridges.low_fraction
    if high <= 0:
        return Centers(_NOWHERE, _NOWHERE, _NOTHING, _NOTHING, high, low, tuning)
    places = ridge_centers(
        ridges.blurred,
        strength,
        low,
        tuning.ridges.center_reach_px,
        tuning.ridges.slope_sigmas * ridges.sigma_px,
    )
    y, x = np.divmod(places, strength.shape[1])
    found = Centers(y, x, strength[y, x], ridges.blurred[y + 1, x + 1], high, low, tuning)
    return found if isinstance(threshold, FixedLevel) else _without_faint(found)


def _without_faint(centers: Centers) -> Centers:
    """Raise the levels where usual lines stand far above the noise: haze has ridges too."""
    tuning = centers.tuning.ridges
    on_line = centers.on_line
    usual = float(np.median(centers.strength[on_line])) if on_line.any() else 0.0
    high = max(centers.high, tuning.usual_share * usual)
    kept = centers.strength > high * tuning.low_fraction
    return Centers(
        y=centers.y[kept],
        x=centers.x[kept],
        strength=centers.strength[kept],
        height=centers.height[kept],
        high=high,
        low=high * tuning.low_fraction,
        tuning=centers.tuning,
    )


def center_lines(
    ridges: Ridges,
    centers: Centers,
    bodies: NDArray[np.bool_],
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> NDArray[np.bool_]:
    """Follow middle lines from their strong into their weak parts.

    Lines are kept where they exceed the low level and are connected with enough pixels above it;
    what is much weaker than a line beside it, or wide, is left out.

    Parameters
    ----------
    ridges, centers
        See :func:`find_ridges` and :func:`find_centers`.
    bodies
        Shape (Y, X), bool: somas, whose strong edges do not count.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), bool; all False for an image without structure.
    """
    lines = np.zeros(bodies.shape, bool)
    if centers.y.size == 0:
        return lines
    block = max(1, round(tuning.ridges.neighborhood_sigmas * ridges.sigma_px / 2))
    y, x, strength = centers.y, centers.x, centers.strength
    nearby = _largest_nearby(ridges.strength, bodies, block)[y // block, x // block]
    kept = strength > np.maximum(
        nearby * tuning.ridges.prominence, centers.height * tuning.ridges.contrast
    )
    kept &= ~bodies[y, x]
    y, x, strength = y[kept], x[kept], strength[kept]
    lines[y, x] = True
    line, count = ndimage.label(lines, np.ones((3, 3)))
    line_of = line[y, x]
    excess = np.bincount(line_of, strength - centers.low, minlength=count + 1)
    lines[y, x] = (excess > (centers.high - centers.low) * tuning.ridges.evidence_px)[line_of]
    return lines


def _largest_nearby(strength: FloatPlane, bodies: NDArray[np.bool_], block: int) -> FloatPlane:
    """Maximum over each block and the blocks around it; blocks that hold a body do not count.

    The steep flank of a body is a strong ridge, beside which neurites would look faint.
    """
    largest = _block_maximum(strength, block)
    largest[_block_maximum(bodies, block)] = 0
    spread: FloatPlane = ndimage.maximum_filter(largest, 3, mode="nearest")
    return spread


def _block_maximum(plane: NDArray[Any], block: int) -> NDArray[Any]:
    """Maximum over blocks; not negative. Slices of rows and columns are fast, reduceat is not."""
    n_rows, n_columns = (-(-size // block) for size in plane.shape)
    rows = np.zeros((n_rows, plane.shape[1]), plane.dtype)
    for offset in range(min(block, plane.shape[0])):
        part = plane[offset::block]
        np.maximum(rows[: len(part)], part, out=rows[: len(part)])
    blocks = np.zeros((n_rows, n_columns), plane.dtype)
    for offset in range(min(block, plane.shape[1])):
        part = rows[:, offset::block]
        np.maximum(blocks[:, : part.shape[1]], part, out=blocks[:, : part.shape[1]])
    return blocks


def _high_level(strength: FloatPlane, threshold: Threshold, tuning: NeuriteTuning) -> float:
    """Strength that noise does not reach, in counts; 0 when there is no structure at all."""
    if isinstance(threshold, FixedLevel):
        return threshold.level_counts
    positive = strength[strength > 0][::4]
    if positive.size == 0:
        return 0.0
    if isinstance(threshold, Otsu):
        return float(threshold_otsu(positive))
    quiet = float(np.percentile(positive, tuning.ridges.quiet_percentile))
    return threshold.multiple * tuning.ridges.quiet_to_sigma * quiet
