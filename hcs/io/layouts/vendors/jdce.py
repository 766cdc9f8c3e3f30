"""ImageXpress HCS.ai: the ``.jdce`` (JSON) of a run and the CSV that lists its images.

What is used here is what Bio-Formats' reader of such plates uses; no file of a microscope was at
hand. Inferred: fields, wavelengths, time points and planes count from 0, wells from 1; the field
number stays as it is.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Final

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FieldPosition
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.images.tiff_header import length_um
from hcs.io.layouts.base import (
    Listing,
    NameFields,
    Sidecar,
    beside,
    plate_format_of,
    problem,
    stage_position,
    well_at,
)

_PROJECTED: Final = "max intensity projection"
_SQUARE_WITHIN: Final = 0.01


def read_jdce(listing: Listing, path: str) -> Sidecar:
    """Read the description of a run and the list of its images.

    Parameters
    ----------
    listing
        The files of the source.
    path
        The ``.jdce``, relative to the source.

    Returns
    -------
    Sidecar
        With every image that is listed, wherever it lies. Damaged files give a sidecar that holds
        one problem and nothing else.
    """
    try:
        text = (listing.root / path).read_text(encoding="utf-8-sig", errors="replace")
        run = json.loads(text[text.index("{") :])["ImageStack"]
        return _read_run(listing, path, run)
    except (InputError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        message = f"{path} is not used, it cannot be read: {type(error).__name__} {error}"
        return Sidecar(source=path, problems=(problem(Reason.UNREADABLE, path, message),))


def _read_run(listing: Listing, path: str, run: dict[str, Any]) -> Sidecar:
    protocol = run["AutoLeadAcquisitionProtocol"]
    plate = protocol.get("Plate", {})
    waves = {int(wave["Index"]): wave for wave in protocol["Wavelengths"]}
    channels = {index: _channel(index, waves[index]) for index in sorted(waves)}
    projected = {
        index
        for index, wave in waves.items()
        if str(wave.get("ImagingMode", "")).casefold() == _PROJECTED
    }
    listed: list[tuple[str, NameFields]] = []
    positions: dict[tuple[Well, int | None], FieldPosition] = {}
    problems = []
    for table in run["ImageMetadataFiles"]:
        for row in _rows(listing, path, table):
            file = f"{row.get('ImageSubFolderPath', '')}/{row['ImageFileName']}".lstrip("/\\")
            fields = _fields(row, projected)
            relative = beside(path, file)
            if relative is None:
                message = f"{table} names {file!r}, which lies outside the source folder"
                problems.append(problem(Reason.OUTSIDE_SOURCE, file, message, fields=fields))
                continue
            listed.append((relative, fields))
            place = stage_position(
                fields.well, fields.site, row.get("PositionXUm"), row.get("PositionYUm")
            )
            if place is not None:
                positions.setdefault((fields.well, fields.site), place)
    return Sidecar(
        source=path,
        plate_name=plate.get("Name") or None,
        plate_format=plate_format_of(str(plate.get("Rows")), str(plate.get("Columns"))),
        pixel_size_um=_pixel_size_um(protocol.get("ObjectiveCalibration", {})),
        channels=tuple(channels.values()),
        channel_names={str(index): channel.name for index, channel in channels.items()},
        listed=tuple(listed),
        positions=tuple(positions.values()),
        problems=tuple(problems),
        is_anchor=True,
    )


def _rows(listing: Listing, path: str, table: str) -> Iterator[dict[str, str]]:
    """Rows of a table that the ``.jdce`` names, which must lie in the source."""
    wanted = beside(path, table)
    present = {other.casefold(): other for other in listing.others}
    if wanted is None or wanted.casefold() not in present:
        msg = f"the table {table!r} that it names is not there"
        raise InputError(msg)
    data = (listing.root / present[wanted.casefold()]).read_bytes()
    yield from csv.DictReader(io.StringIO(data.decode("utf-8-sig", errors="replace")))


def _fields(row: dict[str, str], projected: set[int]) -> NameFields:
    wave = int(row["Wavelength"])
    return NameFields(
        well_at(row["Row"], row["Column"]),
        site=int(row["Field"]),
        channel=str(wave),
        z=None if wave in projected else int(row.get("ZIndex") or 0),
        t=int(row.get("Timepoint") or 0),
        order=wave,
    )


def _channel(index: int, wave: dict[str, Any]) -> Channel:
    emission, excitation = (wave.get(f"{side}Filter") or {} for side in ("Emission", "Excitation"))
    return Channel(
        name=emission.get("Name") or str(index),
        emission_nm=_nanometers(emission),
        excitation_nm=_nanometers(excitation),
    )


def _nanometers(band: dict[str, Any]) -> float | None:
    value = float(band.get("Wavelength") or 0)
    return value if value > 0 and str(band.get("Unit", "nm")).casefold() == "nm" else None


def _pixel_size_um(calibration: dict[str, Any]) -> float | None:
    unit = str(calibration.get("Unit", "µm"))
    width, height = (
        length_um(str(calibration.get(f"Pixel{edge}")), unit) for edge in ("Width", "Height")
    )
    if width is None or height is None or abs(width - height) > _SQUARE_WITHIN * width:
        return None
    return width
