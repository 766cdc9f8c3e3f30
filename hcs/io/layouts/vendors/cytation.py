"""Agilent BioTek Cytation and Lionheart: names of Gen5, ``A1_01_1_1Z0_DAPI_001.tif``.

Observed, as bioformats2raw's tests quote them from real plates: steps 01, 02, …, and -1, -2 for
what Gen5 made of other images or took without a numbered step; ``Stitched[DAPI 377,447]``,
``Tsf[Phase Contrast]`` and ``Tsf[Stitched[…]]`` in place of the channel; regions ``A1ROI2``; and
names of another order, ``A1_1Z0_DAPI_1_001_.tif``, ``B2_1_Bright Field_1_001_02.tif`` and
``H10_1_Stitched[AandB_Phase Contrast]_1_001_-1.tif``. Inferred: ``ZProj[…]`` is built like the
others, and the last number of the other order is the read step.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Final

from hcs.io.layouts.base import IMAGE_ENDING, NameFields, NamePatterns, fields_from, file_name

_WELL: Final = r"(?P<well>[A-Z]{1,2}\d{1,2})(?:ROI(?P<region>\d{1,3}))?"
# well, region of interest, read step, number of the channel in the step, image, z, channel, cycle
_NAME: Final = re.compile(
    rf"{_WELL}_(?P<step>-?\d{{1,3}})_(?P<order>\d{{1,2}})_(?P<site>\d{{1,4}})"
    rf"(?:Z(?P<z>\d{{1,3}}))?_(?P<channel>[^/]+)_(?P<t>\d{{3,4}}){IMAGE_ENDING}",
    re.IGNORECASE,
)
# well, image, z, channel, number of the channel in the step, cycle, read step
_OTHER: Final = re.compile(
    rf"{_WELL}_(?P<site>\d{{1,4}})(?:Z(?P<z>\d{{1,3}}))?_(?P<channel>[^/]+?)_(?P<order>\d{{1,2}})"
    rf"_(?P<t>\d{{3,4}})_(?P<step>-?\d{{1,3}})?{IMAGE_ENDING}",
    re.IGNORECASE,
)
_DERIVED: Final = re.compile(r"(?P<kind>\w+)\[(?P<of>.+)\]")
_STEPS_OF: Final = re.compile(r"\w*and\w*_(?P<channel>.+)")
"""``AandB_Phase Contrast``: what the stitched images of two steps are called."""

_CHANNELS_PER_STEP: Final = 100
_IMAGES_PER_REGION: Final = 10_000
"""Image 2 of region 1 is field 10002: images are numbered anew in every region of a well."""


@dataclass(frozen=True)
class _Cytation(NamePatterns):
    """A channel is numbered within its read step; one name in two steps stays two channels."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when Gen5 does not write such names."""
        name = file_name(path)
        match = _NAME.fullmatch(name) or _OTHER.fullmatch(name)
        if match is None:
            return None
        groups = match.groupdict()
        step = max(int(groups.pop("step") or 0), 0)
        order = step * _CHANNELS_PER_STEP + int(groups["order"])
        region = int(groups.pop("region") or 0)
        groups["site"] = str(region * _IMAGES_PER_REGION + int(groups["site"]))
        channel, derived = _unwrap(groups["channel"])
        fields = fields_from({**groups, "channel": channel, "order": str(order)})
        return fields and dataclasses.replace(fields, derived=derived)


def _unwrap(text: str) -> tuple[str, tuple[str, ...]]:
    """Channel of ``Tsf[Stitched[DAPI 377,447]]`` and what was done to it, outermost first."""
    derived: tuple[str, ...] = ()
    while match := _DERIVED.fullmatch(text):
        derived += (match["kind"],)
        text = match["of"]
    if derived and (steps := _STEPS_OF.fullmatch(text)):
        text = steps["channel"]
    return text, derived


LAYOUT: Final = _Cytation(
    kind="cytation",
    title="BioTek Cytation",
    example="A1_01_1_1Z0_DAPI_001.tif",
    patterns=(_NAME,),
)
