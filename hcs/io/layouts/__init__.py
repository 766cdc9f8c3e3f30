"""Recognizes how a microscope named its files; adding a vendor is adding one module here.

A module of this package that defines ``LAYOUT`` (see :class:`hcs.io.layouts.base.VendorLayout`) is
a vendor. Its ``kind`` is the name in configurations and in the option ``--layout``.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re

from hcs.domain.config import AutoLayout, Layout, RegexLayout
from hcs.domain.plate import SourcePlate
from hcs.domain.wells import PlateFormat
from hcs.errors import InputError, UnknownNameError
from hcs.io.layouts.base import Listing, VendorLayout
from hcs.io.layouts.listing import list_source
from hcs.io.layouts.regex import NamedGroups
from hcs.io.layouts.scanning import ScanResult, Stated, build, nothing_recognized
from hcs.io.runs import AnyPath

__all__ = ["ScanResult", "describe", "scan", "vendors"]

_FITS_FROM = 0.5
"""Share of a folder's image files that a layout must recognize to be chosen by itself."""


@functools.cache
def vendors() -> dict[str, VendorLayout]:
    """All vendors by kind, in alphabetical order."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__, f"{__name__}."))
    found = (getattr(importlib.import_module(name), "LAYOUT", None) for name in modules)
    return {layout.kind: layout for layout in found if layout is not None}


def scan(
    source: AnyPath,
    layout: Layout,
    *,
    plate_name: str | None = None,
    plate_format: PlateFormat | None = None,
    pixel_size_um: float | None = None,
) -> ScanResult:
    """Find the plate in a source folder; pixels are not read.

    Parameters
    ----------
    source
        A folder: local, or any address that fsspec knows.
    layout
        How files are named; ``AutoLayout`` recognizes it and refuses when two fit or none does.
    plate_name, plate_format, pixel_size_um
        What is known of the plate; it wins over what names, metadata and headers say. Of several
        plates in one folder ``plate_name`` chooses one.

    Returns
    -------
    ScanResult
        The plate, the problems (files that are unmatched, duplicate, absent, outside the source),
        and why the layout was chosen.

    Raises
    ------
    NotFoundError
        When there is no such folder.
    FaultsError
        For wells outside the plate, and for files whose name and metadata disagree.
    InputError
        When no layout fits, or two do.
    """
    listing = list_source(source)
    if isinstance(layout, RegexLayout):
        vendor: VendorLayout = NamedGroups(re.compile(layout.pattern))
        page_axis, why = layout.pages, f"layout regex: names as {layout.pattern}"
    else:
        page_axis = None
        if isinstance(layout, AutoLayout):
            vendor, why = _recognize(listing)
        else:
            vendor, why = _named(layout.kind), f"layout {layout.kind}, as asked"
    stated = Stated(plate_name, plate_format, pixel_size_um, page_axis)
    return build(listing, vendor, stated, why)


def _named(kind: str) -> VendorLayout:
    try:
        return vendors()[kind]
    except KeyError as error:
        raise UnknownNameError("layout", kind, "hcs", ["auto", "regex", *vendors()]) from error


def _recognize(listing: Listing) -> tuple[VendorLayout, str]:
    """Choose the one vendor that wrote these names."""
    shares: dict[str, tuple[int, int]] = {}
    for kind, vendor in vendors().items():
        matched = sum(vendor.parse(path) is not None for path in listing.images)
        ignored = sum(vendor.ignores(path) for path in listing.images)
        shares[kind] = (matched, len(listing.images) - ignored)
    fitting = [kind for kind, (n, of) in shares.items() if n and n >= _FITS_FROM * of]
    counts = ", ".join(f"{kind} {n} of {of}" for kind, (n, of) in shares.items() if n) or "none"
    if not fitting:
        msg = nothing_recognized(listing, None)
        raise InputError(f"{msg}\nrecognized: {counts}; layouts are {', '.join(vendors())}")
    if len(fitting) > 1:
        msg = f"two layouts fit {listing.root} ({counts} files): choose one with --layout"
        raise InputError(msg)
    vendor = vendors()[fitting[0]]
    matched, of = shares[vendor.kind]
    why = f"layout {vendor.kind} ({vendor.title}): {matched} of {of} image files are named so"
    return vendor, f"{why}, and no other layout fits"


def describe(result: ScanResult, *, max_files: int = 10) -> str:
    """Say what an ingest would do, for a dry run: matched and unmatched files, the plate.

    Parameters
    ----------
    result
        A scan.
    max_files
        Files listed of each sort.

    Returns
    -------
    str
        Several lines.
    """
    plate: SourcePlate = result.plate
    fields = {(plane.well, plane.site) for plane in plate.planes}
    wells = {plane.well for plane in plate.planes}
    channels = ", ".join(channel.name for channel in plate.channels)
    lines = [
        result.why,
        f"plate {plate.name}: {plate.plate_format.n_wells} wells",
        f"{len(wells)} wells with images, {len(fields)} fields, {len(plate.planes)} planes",
        f"channels: {channels}",
        f"matched ({len(plate.planes)} planes):",
    ]
    lines += [
        f"  {p.path}"
        + (f" page {p.page}" if p.page else "")
        + f" → {p.well.name} field {p.site} channel {p.channel} z {p.z_index} time {p.t_index}"
        for p in plate.planes[:max_files]
    ]
    if len(plate.planes) > max_files:
        lines.append(f"  … and {len(plate.planes) - max_files} more")
    lines.append(f"problems ({len(result.problems)}):")
    lines += [f"  {row['reason']}: {row['message']}" for row in result.problems[:max_files]]
    if len(result.problems) > max_files:
        lines.append(f"  … and {len(result.problems) - max_files} more")
    return "\n".join(lines)
