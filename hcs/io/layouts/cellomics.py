"""Thermo Cellomics ArrayScan and CellInsight: ``Plate_D03f00d0.tif``."""

from __future__ import annotations

import re
from typing import Final

from hcs.io.layouts.base import NamePatterns

# Field and channel count from 0. The instrument's own .C01 and .DIB hold no TIFF; they stay
# unmatched, so that they are reported instead of failing one by one.
_NAME: Final = re.compile(
    r"(?:(?P<plate>.+)_)?(?P<well>[A-P]\d{2})f(?P<site>\d{2,3})d(?P<channel>\d)\.(?:tiff?|png)",
    re.IGNORECASE,
)

LAYOUT: Final = NamePatterns(
    kind="cellomics",
    title="Cellomics ArrayScan",
    example="AS_09125_050116030001_D03f00d0.tif",
    patterns=(_NAME,),
)
