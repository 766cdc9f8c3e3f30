"""Agilent BioTek Cytation and Lionheart: names of Gen5, ``A1_01_1_1Z0_DAPI_001.tif``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hcs.io.layouts.base import NameFields, NamePatterns, fields_from, file_name

# well, region of interest, read step, number of the channel in the step, image, z, channel, cycle
_NAME: Final = re.compile(
    r"(?P<well>[A-Z]{1,2}\d{1,2})(?:ROI(?P<region>\d{1,3}))?_(?P<step>-?\d{1,3})"
    r"_(?P<order>\d{1,2})_(?P<site>\d{1,4})"
    r"(?:Z(?P<z>\d{1,3}))?_(?P<channel>[^/]+)_(?P<t>\d{3,4})\.tiff?",
    re.IGNORECASE,
)
_CHANNELS_PER_STEP: Final = 100
_IMAGES_PER_REGION: Final = 10_000
"""Image 2 of region 1 is field 10002: images are numbered anew in every region of a well."""


@dataclass(frozen=True)
class _Cytation(NamePatterns):
    """A channel is numbered within its read step; one name in two steps stays two channels."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when Gen5 does not write such names."""
        match = _NAME.fullmatch(file_name(path))
        if match is None:
            return None
        groups = match.groupdict()
        step = max(int(groups.pop("step")), 0)
        order = step * _CHANNELS_PER_STEP + int(groups["order"])
        region = int(groups.pop("region") or 0)
        groups["site"] = str(region * _IMAGES_PER_REGION + int(groups["site"]))
        return fields_from({**groups, "order": str(order)})


LAYOUT: Final = _Cytation(
    kind="cytation",
    title="BioTek Cytation",
    example="A1_01_1_1Z0_DAPI_001.tif",
    patterns=(_NAME,),
)
