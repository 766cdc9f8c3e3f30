"""Uneven illumination of a plate: estimated from its own fields, used only where it helps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.tuning.planes import LightTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, enlarge
from hcs.ops.resizing import downsample_mean

_EVERY: Final = 3
"""Every third pixel of a block suffices for its level; odd, so that all rows take part."""


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
        Range of the estimate over its mean, at most the greatest that light can have.
    gain
        Share by which the estimate from half of the fields lowers the unevenness of the others.
    helps
        Whether images are divided by it.
    vendor
        Whether it is the vendor's profile and not an estimate; ``gain`` then is the share by which
        it lowers the unevenness of the fields, 1 when there are too few to tell.
    why
        Why images are not divided by it, as the end of a sentence; empty where they are.
    """

    coarse: tuple[tuple[float, ...], ...] | None = None
    block_px: int = 1
    range_fraction: float = 0.0
    gain: float = 0.0
    helps: bool = False
    vendor: bool = False
    why: str = ""

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

    Every field is averaged to blocks, without their brightest and darkest quarters, and divided by
    its median; the median over fields is what they share (Singh et al. 2014,
    doi 10.1111/jmi.12178), and its smooth part is illumination. The estimate from every other field
    is tried on the rest: where it does not even them out, cells were taken for light. What is more
    uneven than light can be, and what has no background to show it, is refused with the reason.

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
    fields = list(planes)
    blocks, block = _in_blocks(fields, tuning)
    zero = _zero_share(fields)
    if len(blocks) < tuning.min_fields or zero > tuning.max_zero_share:
        return Illumination(why=_name_lack(len(blocks), zero, tuning))
    shared = _find_shape(blocks, tuning)
    gain = min(_gain(blocks[0::2], blocks[1::2], tuning), _gain(blocks[1::2], blocks[0::2], tuning))
    middle = np.median(np.stack(blocks), axis=0)
    fitted = _fit_surface(middle, tuning)
    spread = float(np.ptp(fitted)) / max(float(fitted.mean()), tuning.floor)
    explained = 1 - float((middle - fitted).var()) / max(float(middle.var()), 1e-12)
    why = _name_doubt(spread, gain, explained, tuning)
    return Illumination(
        coarse=tuple(tuple(float(f"{v:.5g}") for v in row) for row in shared),
        block_px=block,
        range_fraction=min(spread, tuning.max_range),
        gain=gain,
        helps=not why,
        why=why,
    )


def _name_lack(n_fields: int, zero_share: float, tuning: LightTuning) -> str:
    """Say why nothing can be estimated."""
    if n_fields < tuning.min_fields:
        return f"{n_fields} fields that show light are too few to tell it from cells"
    return f"{zero_share:.0%} of its pixels are 0: background that was subtracted shows no light"


def _name_doubt(spread: float, gain: float, explained: float, tuning: LightTuning) -> str:
    """Say why an estimate is not used; empty where it is."""
    if spread < tuning.min_range:
        return f"it is even within {tuning.min_range:.0%}"
    if spread > tuning.max_range:
        return "what its fields share is too uneven for light: cells lie in the same places of most"
    if explained < tuning.min_explained:
        return "what its fields share is not smooth: they show the same structures"
    if gain < tuning.min_gain:
        return "what half of the fields share does not even out the other half"
    return ""


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
        range_fraction=min(float(np.ptp(coarse) / coarse.mean()), tuning.max_range),
        gain=gain,
        helps=gain > 0,
        vendor=True,
        why="" if gain > 0 else "the vendor's profile makes its fields less even",
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
        coarse = _average_inner(plane, block, tuning)
        level = np.float32(np.median(coarse))
        if plane.shape == shape and level > 0:
            blocks.append(np.divide(coarse, level, dtype=np.float32))
    return blocks, block


def _average_inner(plane: NDArray[Any], block: int, tuning: LightTuning) -> FloatPlane:
    """Mean of the middle pixels of every block in the order of brightness; shape of the blocks."""
    height, width = (-(-size // block) * block for size in plane.shape)
    padding = ((0, height - plane.shape[0]), (0, width - plane.shape[1]))
    padded = np.pad(plane, padding, mode="edge")
    pixels = padded.reshape(height // block, block, width // block, block).swapaxes(1, 2)
    pixels = np.sort(pixels.reshape(height // block, width // block, -1)[..., ::_EVERY], axis=2)
    low, high = (
        round(pixels.shape[2] * percentile / 100)
        for percentile in (tuning.inner_low_percentile, tuning.inner_high_percentile)
    )
    inner: FloatPlane = pixels[..., low : max(high, low + 1)].mean(axis=2, dtype=np.float32)
    return inner


def _zero_share(planes: Sequence[NDArray[Any]]) -> float:
    """Share of pixels that are 0 in the usual plane."""
    shares = [np.count_nonzero(plane <= 0) / plane.size for plane in planes]
    return float(np.median(shares)) if shares else 0.0


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
