"""Molecular Devices ImageXpress: MetaXpress names, ``TimePoint``/``ZStep`` trees and ``.HTD``."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import Final

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel
from hcs.io.layouts.base import (
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    fields_from,
    file_name,
    plate_format_of,
    problem,
)

# Plate_A01_s1_w1XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX.tif. The wavelength is one digit: the GUID
# follows without a gap and may itself begin with digits. Letter case counts, or else the w12 of
# another microscope would be row W.
_NAME: Final = re.compile(
    r"(?:(?P<plate>.+)_)?(?P<well>(?:[A-Z]|A[A-F])\d{2})(?:_s(?P<site>\d+))?"
    r"(?:_w(?P<channel>\d)(?P<guid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?)?"
    r"\.(?:tiff?|TIFF?)",
)
_TIME: Final = re.compile(r"(?:^|/)TimePoint_(\d+)/", re.IGNORECASE)
_STEP: Final = re.compile(r"(?:^|/)ZStep_(\d+)/", re.IGNORECASE)
_THUMBNAIL: Final = re.compile(r"_thumb[^/]*\.[a-z]+$", re.IGNORECASE)


@dataclass(frozen=True)
class _ImageXpress(NamePatterns):
    """Time and z are in the folders; ``ZStep_0`` holds projections of the other steps."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when MetaXpress does not write such names."""
        match = _NAME.fullmatch(file_name(path))
        if match is None:
            return None
        groups = match.groupdict() | {"order": match["channel"]}
        time, step = _TIME.search(path), _STEP.search(path)
        if time is not None:
            groups["t"] = time[1]
        if step is not None and int(step[1]) > 0:
            groups["z"] = step[1]
        return fields_from(groups)

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the ``.HTD`` that lies highest; a tree repeats it in every folder."""
        files = sorted(listing.ending(".htd"), key=lambda path: (path.count("/"), path))
        top = [path for path in files if path.count("/") == files[0].count("/")]
        if not files:
            return None
        if len(top) > 1:
            note = f"{len(top)} .HTD files, such as {top[0]!r}: none is used"
            return Sidecar(source=top[0], notes=(note,))
        return read_htd((listing.root / top[0]).read_bytes(), top[0])


LAYOUT: Final = _ImageXpress(
    kind="imagexpress",
    title="ImageXpress / MetaXpress",
    example="Plate_A01_s1_w1247376DD-6ADD-442D-AE47-F54A05F3EA94.tif",
    patterns=(_NAME,),
    ignored=_THUMBNAIL,
)


def read_htd(data: bytes, name: str) -> Sidecar:
    """Read the text file that describes a MetaXpress run.

    Parameters
    ----------
    data
        Its bytes, in a Windows code page.
    name
        Its path relative to the source folder.

    Returns
    -------
    Sidecar
        Plate format and names of the wavelengths. A file that is no such description gives a
        sidecar that holds one problem.
    """
    lines = data.decode("cp1252", errors="replace").splitlines()
    values = {row[0].strip(): row[1] for row in csv.reader(lines, skipinitialspace=True) if row[1:]}
    if "HTSInfoFile" not in values:
        message = "the .HTD is not used: it does not begin with HTSInfoFile"
        return Sidecar(source=name, problems=(problem(Reason.UNREADABLE, name, message),))
    waves = {
        number: wave
        for number in "123456789"
        if (wave := values.get(f"WaveName{number}", "").strip())
    }
    return Sidecar(
        source=name,
        plate_format=plate_format_of(values.get("YWells"), values.get("XWells")),
        channels=tuple(Channel(name=wave) for wave in dict.fromkeys(waves.values())),
        channel_names=waves,
    )
