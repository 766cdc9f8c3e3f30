"""Chooses a plate's pixel size among those that metadata state for its channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BINNING_TOLERANCE: Final = 0.01
"""By how much the ratio of two pixel sizes may differ from a whole number."""


def choose_pixel_size_um(by_channel: Mapping[str, set[float]]) -> tuple[float | None, str | None]:
    """Edge of a plate's pixel; of channels that were binned differently that of the finest.

    Parameters
    ----------
    by_channel
        Every edge length in µm that is stated for a channel; two where x and y differ.

    Returns
    -------
    float or None
        None when none is stated, when x and y differ, and when the sizes of two channels are no
        multiples of each other.
    str or None
        A sentence for the user where sizes differ.

    Examples
    --------
    >>> choose_pixel_size_um({"DAPI": {0.3}, "GFP": {0.6}})[0]
    0.3
    >>> choose_pixel_size_um({"DAPI": {0.3, 0.4}})[0] is None
    True
    """
    stated = {name: sizes for name, sizes in by_channel.items() if sizes}
    sizes = {size for each in stated.values() for size in each}
    if len(sizes) <= 1:
        return (sizes.pop() if sizes else None), None
    told = ", ".join(
        f"{name!r} {' and '.join(f'{size:g}' for size in sorted(each))}"
        for name, each in sorted(stated.items())
    )
    finest = min(sizes)
    ratios = [size / finest for size in sizes]
    binned = all(len(each) == 1 for each in stated.values()) and all(
        abs(ratio - round(ratio)) <= _BINNING_TOLERANCE for ratio in ratios
    )
    chosen = "that of the finest is the plate's" if binned else "the plate gets none"
    return finest if binned else None, f"pixels of different sizes in µm ({told}): {chosen}"
