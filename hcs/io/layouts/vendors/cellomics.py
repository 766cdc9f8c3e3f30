"""Thermo Cellomics ArrayScan and CellInsight: ``Plate_D03f00d0.tif``.

Observed: fields of two or three digits and channels ``d0``, ``o1``. Field and channel are optional
by Bio-Formats' reader of C01 files, which has met such names. Fields of one digit are what users
report of exports.
"""

from __future__ import annotations

import re
from typing import Final

from hcs.io.layouts.base import IMAGE_ENDING, NamePatterns

# Field and channel count from 0. A .DIB stays unmatched, so that it is reported.
_NAME: Final = re.compile(
    r"(?:(?P<plate>.+)_)?(?P<well>(?:[A-P]|A[A-F])\d{2})f(?P<site>\d{1,3})"
    rf"(?:[do](?P<channel>\d{{1,2}}))?(?:{IMAGE_ENDING}|\.c01)",
    re.IGNORECASE,
)

LAYOUT: Final = NamePatterns(
    kind="cellomics",
    title="Cellomics ArrayScan",
    example="AS_09125_050116030001_D03f00d0.tif",
    patterns=(_NAME,),
)
