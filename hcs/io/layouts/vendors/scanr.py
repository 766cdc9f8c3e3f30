"""Olympus ScanR: ``A1--W00001--P00001--Z00000--T00000--DAPI.tif``."""

from __future__ import annotations

import re
from typing import Final

from hcs.io.layouts.base import IMAGE_ENDING, NamePatterns

_NAME: Final = re.compile(
    r"(?P<well>[A-Z]{1,2}\d{1,2})--W\d{5}--P(?P<site>\d{5})--Z(?P<z>\d{5})--T(?P<t>\d{5})"
    rf"--(?P<channel>[^/]+?){IMAGE_ENDING}",
    re.IGNORECASE,
)

# Names without the well only number it, row by row: which well that is depends on the plate.
_NUMBERED: Final = re.compile(
    r"(?:[^/]*?--)?W(?P<number>\d{5})--P(?P<site>\d{5})--Z(?P<z>\d{5})--T(?P<t>\d{5})"
    rf"--(?P<channel>[^/]+?){IMAGE_ENDING}",
    re.IGNORECASE,
)

LAYOUT: Final = NamePatterns(
    kind="scanr",
    title="Olympus ScanR",
    example="A1--W00001--P00001--Z00000--T00000--DAPI.tif",
    patterns=(_NAME,),
    numbered=_NUMBERED,
)
