"""Agilent BioTek Cytation and Lionheart: names of Gen5, ``A1_01_1_1Z0_DAPI_001.tif``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hcs.io.layouts.base import NameFields, NamePatterns, fields_from, file_name

# well, read step, number of the channel within the step, image within the well, z, channel, cycle
_NAME: Final = re.compile(
    r"(?P<well>[A-Z]{1,2}\d{1,2})_(?P<step>-?\d{1,3})_(?P<order>\d{1,2})_(?P<site>\d{1,4})"
    r"(?:Z(?P<z>\d{1,3}))?_(?P<channel>[^/]+)_(?P<t>\d{3,4})\.tiff?",
    re.IGNORECASE,
)
_CHANNELS_PER_STEP: Final = 100


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
        return fields_from({**groups, "order": str(order)})


LAYOUT: Final = _Cytation(
    kind="cytation",
    title="BioTek Cytation",
    example="A1_01_1_1Z0_DAPI_001.tif",
    patterns=(_NAME,),
)
