"""Sartorius Incucyte: exported images, ``VID123_Phase_A1_1_2023y07m20d_14h48m.tif``.

Observed, in names that users' scripts take apart and in the LIVECell set: well, image, and either
the date and time or the time since the start, ``03d12h00m``. Reported: a vessel number ``VID…`` and
the channel before the well. Inferred: a word such as Phase or Green directly before the well, or
else the folder of such a name, is the channel. Times are kept in minutes.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from hcs.io.layouts.base import IMAGE_ENDING, NameFields, NamePatterns, fields_from, file_name

_NAME: Final = re.compile(
    r"(?:(?P<before>.+)_)?(?P<well>[A-P]\d{1,2})_(?P<site>\d{1,3})_"
    r"(?:(?P<year>\d{4})y(?P<month>\d{2})m(?P<day>\d{2})d_(?P<hour>\d{2})h(?P<minute>\d{2})m"
    r"|(?P<days>\d{2,3})d(?P<hours>\d{2})h(?P<minutes>\d{2})m)"
    rf"{IMAGE_ENDING}",
    re.IGNORECASE,
)
_CHANNELS: Final = frozenset(
    {"phase", "phase contrast", "brightfield", "green", "red", "nir", "orange", "blue", "far red"}
)
_MINUTE: Final = dt.timedelta(minutes=1)
_EPOCH: Final = dt.datetime(2000, 1, 1)


@dataclass(frozen=True)
class _Incucyte(NamePatterns):
    """One image a well, field, channel and scan; scans are told by their time."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when an Incucyte does not export such names."""
        match = _NAME.fullmatch(file_name(path))
        minutes = None if match is None else _minutes(match)
        if match is None or minutes is None:
            return None
        plate, channel = _split(match["before"] or "")
        folder = path.rpartition("/")[0].rpartition("/")[2]
        if channel is None and folder.casefold() in _CHANNELS:
            channel = folder
        fields = fields_from({"well": match["well"], "site": match["site"]})
        return fields and dataclasses.replace(fields, t=minutes, plate=plate, channel=channel)


def _minutes(match: re.Match[str]) -> int | None:
    """Time of the scan in minutes, since 2000 where the name has a date."""
    if match["days"] is not None:
        days, hours, minutes = (int(match[part]) for part in ("days", "hours", "minutes"))
        return (days * 24 + hours) * 60 + minutes
    try:
        parts = [int(match[part]) for part in ("year", "month", "day", "hour", "minute")]
        since = dt.datetime(*parts) - _EPOCH  # type: ignore[arg-type]
    except ValueError:
        return None
    return since // _MINUTE if since >= dt.timedelta(0) else None


def _split(before: str) -> tuple[str | None, str | None]:
    """Plate and channel of what stands before the well."""
    plate, _, last = before.rpartition("_")
    if last.casefold() in _CHANNELS:
        return plate or None, last
    return before or None, None


LAYOUT: Final = _Incucyte(
    kind="incucyte",
    title="Incucyte export",
    example="VID123_Phase_A1_1_2023y07m20d_14h48m.tif",
    patterns=(_NAME,),
    t_is_minutes=True,
)
