"""Uneven illumination of a plate: estimated from its own fields, used only where it helps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.domain.tuning.planes import LightTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, enlarge
from hcs.ops.intensity import downsample_mean


@dataclass(frozen=True, slots=True)
class Illumination:
    """Relative illumination of one channel of a plate.

    Attributes
    ----------
    coarse
        Shape (rows, columns) of blocks, mean 1; None when there were too few fields.
    block_px
        Edge of a block.
    range_fraction
        Largest over smallest value of the estimate, minus 1.
    gain
        Share by which the estimate from half of the fields lowers the unevenness of the others.
    helps
        Whether images are divided by it.
    vendor
        Whether it is the vendor's profile and not an estimate; ``gain`` then is the share by which
        it lowers the unevenness of the fields, 1 when there are too few to tell.
    """

    coarse: tuple[tuple[float, ...], ...] | None = None
    block_px: int = 1
    range_fraction: float = 0.0
    gain: float = 0.0
    helps: bool = False
    vendor: bool = False

    def plane(self, shape: tuple[int, ...]) -> FloatPlane | None:
        """Return what images of a shape (Y, X) are divided by, or None when that does not help."""
        if not self.helps or self.coarse is None:
            return None
        coarse = np.array(self.coarse, np.float32)
        if coarse.shape != tuple(-(-size // self.block_px) for size in shape):
            return None
        return enlarge(coarse, self.block_px, shape)


def estimate_illumination(
    planes: Iterable[NDArray[Any]], tuning: LightTuning = DEFAULTS.light
) -> Illumination:
    """Estimate the illumination that all fields of a channel share.

    Every field is averaged to blocks and divided by its median; the median over fields is what
    they share (Singh et al. 2014, doi 10.1111/jmi.12178), and its smooth part is illumination. The
    estimate from every other field is tried on the rest: where it does not even them out, cells
    were taken for light.

    Parameters
    ----------
    planes
        Fields (Y, X) of one shape, in counts; those of another shape or without light are left
        out.
    tuning
        Constants of the kernel.

    Returns
    -------
    Illumination
        That helps nothing with fewer than eight fields.
    """
    blocks, block = _in_blocks(planes, tuning)
    if len(blocks) < tuning.min_fields:
        return Illumination()
    shared = _find_shape(blocks, tuning)
    gain = min(_gain(blocks[0::2], blocks[1::2], tuning), _gain(blocks[1::2], blocks[0::2], tuning))
    spread = float(shared.max() / max(float(shared.min()), 1e-6)) - 1
    middle = np.median(np.stack(blocks), axis=0)
    explained = 1 - float((middle - _fit_surface(middle, tuning)).var()) / max(
        float(middle.var()), 1e-12
    )
    helps = (
        spread >= tuning.min_range and gain >= tuning.min_gain and explained >= tuning.min_explained
    )
    return Illumination(
        coarse=tuple(tuple(float(f"{v:.5g}") for v in row) for row in shared),
        block_px=block,
        range_fraction=spread,
        gain=gain,
        helps=helps,
    )


def judge_illumination(
    flat: FloatPlane, planes: Iterable[NDArray[Any]], tuning: LightTuning = DEFAULTS.light
) -> Illumination:
    """Judge the profile that a vendor gives, against the fields of the plate.

    Parameters
    ----------
    flat
        Shape (Y, X), relative illumination.
    planes
        Fields of that shape.
    tuning
        Constants of the kernel.

    Returns
    -------
    Illumination
        That helps when it makes the fields more even; with fewer than eight fields the vendor is
        believed.
    """
    blocks, block = _in_blocks(planes, tuning)
    block = block if blocks else max(1, -(-max(flat.shape) // tuning.blocks))
    coarse: FloatPlane = downsample_mean(flat.astype(np.float32), block)
    coarse = np.maximum(coarse / max(float(coarse.mean()), 1e-6), np.float32(tuning.floor))
    gain = 1.0
    if len(blocks) >= tuning.min_fields and blocks[0].shape == coarse.shape:
        before = _find_shape(blocks, tuning)
        unevenness = max(float(before.std()), 1e-9)
        gain = 1 - float((before / coarse).std()) / unevenness
    return Illumination(
        coarse=tuple(tuple(float(f"{v:.5g}") for v in row) for row in coarse),
        block_px=block,
        range_fraction=float(coarse.max() / coarse.min()) - 1,
        gain=gain,
        helps=gain > 0,
        vendor=True,
    )


def _in_blocks(planes: Iterable[NDArray[Any]], tuning: LightTuning) -> tuple[list[FloatPlane], int]:
    """Fields of the first field's shape as block means over their medians, and the block."""
    shape: tuple[int, ...] = ()
    block = 1
    blocks: list[FloatPlane] = []
    for plane in planes:
        if not shape:
            shape = plane.shape
            block = max(1, -(-max(shape) // tuning.blocks))
        coarse: FloatPlane = downsample_mean(plane.astype(np.float32), block)
        level = np.float32(np.median(coarse))
        if plane.shape == shape and level > 0:
            blocks.append(np.divide(coarse, level, dtype=np.float32))
    return blocks, block


def _find_shape(blocks: list[FloatPlane], tuning: LightTuning) -> FloatPlane:
    middle = np.median(np.stack(blocks), axis=0)
    fitted = np.maximum(_fit_surface(middle, tuning), tuning.floor)
    shared: FloatPlane = (fitted / fitted.mean()).astype(np.float32)
    return shared


def _fit_surface(plane: NDArray[Any], tuning: LightTuning) -> NDArray[np.float64]:
    """Least-squares polynomial through a plane."""
    y, x = (np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in plane.shape)
    powers = [(i, j) for i in range(tuning.degree + 1) for j in range(tuning.degree + 1 - i)]
    design = np.stack([np.outer(y**i, x**j).ravel() for i, j in powers], axis=1)
    weights = np.linalg.lstsq(design, plane.ravel().astype(np.float64), rcond=None)[0]
    result: NDArray[np.float64] = (design @ weights).reshape(plane.shape)
    return result


def _gain(from_these: list[FloatPlane], on_those: list[FloatPlane], tuning: LightTuning) -> float:
    before = _find_shape(on_those, tuning)
    after = before / _find_shape(from_these, tuning)
    unevenness = float(before.std())
    return 1 - float(after.std()) / unevenness if unevenness > 0 else 0.0
