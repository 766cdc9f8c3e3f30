"""Recognizes how a microscope named its files; adding a vendor is adding one module in ``vendors``.

A module of that package that defines ``LAYOUT`` (see :class:`hcs.io.layouts.base.VendorLayout`) is
a vendor. Its ``kind`` is the name in configurations and in the option ``--layout``.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
import random
from collections.abc import Sequence
from typing import Final

from hcs.domain.config.layouts import PageAxis
from hcs.domain.config.stages import AutoLayout, Layout, OmeZarrLayout, RegexLayout
from hcs.domain.plate import SourcePlate, quote_names
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import InputError, UnknownNameError
from hcs.io.containers.opening import is_container
from hcs.io.files.paths import AnyPath
from hcs.io.files.patterns import UserPattern
from hcs.io.images.sources import OME_ZARR
from hcs.io.layouts.base import Listing, Sidecar, VendorLayout
from hcs.io.layouts.listing import list_source, locate, read_metadata
from hcs.io.layouts.omezarr import is_plate, name_plates_inside, refuse_other_groups, scan_plate
from hcs.io.layouts.regex import NamedGroups
from hcs.io.layouts.runs import choose_run
from hcs.io.layouts.scanning import Names, ScanResult, Stated, build, explain_no_layout
from hcs.io.layouts.vendors.container import LAYOUT as CONTAINERS

__all__ = ["ScanResult", "describe", "is_plate", "list_vendors", "scan"]

_FITS_FROM = 0.1
"""Share of a folder's image files that a layout must recognize to fit.

Low, because what it does not recognize is reported; and because a second vendor's files in the
same folder must lead to a question, not to a choice.
"""


_OME_TIFF: Final = "ometiff"


_SAMPLE = 1000
"""Names by which a vendor is ruled out: one that wrote a tenth of a folder is never missed so."""


@functools.cache
def list_vendors() -> dict[str, VendorLayout]:
    """All vendors by kind, in alphabetical order."""
    package = importlib.import_module(f"{__name__}.vendors")
    prefix = f"{package.__name__}."
    modules = sorted(module.name for module in pkgutil.iter_modules(package.__path__, prefix))
    found = (getattr(importlib.import_module(name), "LAYOUT", None) for name in modules)
    return {layout.kind: layout for layout in found if layout is not None}


def scan(
    source: AnyPath,
    layout: Layout,
    *,
    plate_name: str | None = None,
    plate_format: PlateFormat | None = None,
    pixel_size_um: float | None = None,
    acquisition: int | None = None,
    page_axis: PageAxis | None = None,
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
    acquisition
        Of a plate whose metadata tell several acquisitions (OME-Zarr, OME-TIFF), the one to read.
    page_axis
        What the pages of files are, where their headers do not say it.

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
    stated = Stated(plate_name, plate_format, pixel_size_um, page_axis, acquisition=acquisition)
    if isinstance(layout, OmeZarrLayout):
        return scan_plate(source, stated, "layout omezarr, as asked")
    if isinstance(layout, AutoLayout) and is_plate(source):
        return scan_plate(source, stated, "layout omezarr: the source is an OME-Zarr plate")
    refuse_other_groups(source)
    listing = list_source(source)
    if not listing.images and (inside := name_plates_inside(source)):
        msg = f"no image files in {source}{inside}"
        raise InputError(msg)
    if isinstance(layout, RegexLayout):
        well = None if layout.well is None else Well.parse(layout.well)
        groups = NamedGroups(UserPattern(layout.pattern), well, plate_format)
        groups.explain(listing)
        why = f"layout regex: names as {layout.pattern}"
        result = _build_named(listing, groups, stated, why)
        return _with_heights(result) if groups.z_is_um else result
    names: Names | None = None
    if isinstance(layout, AutoLayout):
        vendor, sidecar, why, names = _recognize(listing, plate_format)
    else:
        vendor, why = _find_vendor(layout.kind, plate_format), f"layout {layout.kind}, as asked"
        sidecar = locate(read_metadata(vendor, listing), listing)

    def read(files: Listing) -> Sidecar | None:
        return locate(read_metadata(vendor, files), files)

    run, note = choose_run(listing, vendor, plate_name, read)
    if note is not None:
        sidecar, why = read(run), f"{why}; {note}"
    return build(run, vendor, sidecar, stated, why, names)


def _build_named(listing: Listing, groups: NamedGroups, stated: Stated, why: str) -> ScanResult:
    """Read names as an expression tells; of containers it only tells what those do not."""
    containers = [path for path in listing.images if is_container(path)]
    if not containers or any(groups.parse(p) for p in listing.images if not is_container(p)):
        return build(listing, groups, None, stated, why)
    layout = dataclasses.replace(CONTAINERS, names=groups, t_is_minutes=groups.t_is_minutes)
    return build(listing, layout, read_metadata(layout, listing), stated, why)


def _with_heights(result: ScanResult) -> ScanResult:
    """Take the numbers of planes for their heights in µm, as names state them."""
    numbers = result.plate.numbers.model_copy(update={"z_um": result.plate.numbers.z})
    plate = result.plate.model_copy(update={"numbers": numbers})
    return dataclasses.replace(result, plate=plate)


def _find_vendor(kind: str, plate_format: PlateFormat | None) -> VendorLayout:
    try:
        vendor = list_vendors()[kind]
    except KeyError as error:
        known = ["auto", "regex", OME_ZARR, *list_vendors()]
        raise UnknownNameError("layout", kind, "hcs", known) from error
    return vendor if plate_format is None else vendor.on_plate(plate_format)


def _draw_names(listing: Listing) -> Sequence[str]:
    if len(listing.images) <= _SAMPLE:
        return listing.images
    return random.Random(0).sample(listing.images, _SAMPLE)


def _recognize(
    listing: Listing, plate_format: PlateFormat | None
) -> tuple[VendorLayout, Sidecar | None, str, Names]:
    """Choose the one vendor that wrote these files, by their names and by its metadata.

    Also returns what its names say: reading 50,000 names a second time would take a second.
    """
    names: dict[str, Names] = {}
    counts: dict[str, tuple[int, int]] = {}
    files: dict[str, set[str]] = {}
    sidecars: dict[str, Sidecar | None] = {}
    candidates = {kind: _find_vendor(kind, plate_format) for kind in list_vendors()}
    some = _draw_names(listing)
    for kind, vendor in candidates.items():
        sidecars[kind] = sidecar = locate(read_metadata(vendor, listing), listing)
        listed = {path.casefold() for path, _ in sidecar.listed} if sidecar else set()
        if not listed and all(vendor.parse(path) is None for path in some):
            continue
        images = [path for path in listing.images if not vendor.ignores(path)]
        names[kind] = {p: f for p in images if (f := vendor.parse(p)) is not None}
        files[kind] = {p for p in images if p in names[kind] or p.casefold() in listed}
        counts[kind] = (len(files[kind]), len(images))
    fitting = [kind for kind, (n, of) in counts.items() if n and n >= _FITS_FROM * of]
    told = ", ".join(f"{kind} {n} of {of}" for kind, (n, of) in counts.items() if n) or "none"
    if not fitting:
        msg = explain_no_layout(listing, None)
        raise InputError(f"{msg}\nrecognized: {told}; layouts are {', '.join(list_vendors())}")
    if _OME_TIFF in fitting and all(files[kind] <= files[_OME_TIFF] for kind in fitting):
        fitting = [_OME_TIFF]  # its XML states the plate, whatever the files are called
    if len(fitting) > 1:
        msg = f"two layouts fit {listing.root} ({told} files): choose one with --layout"
        raise InputError(msg)
    vendor = candidates[fitting[0]]
    n, of = counts[vendor.kind]
    why = f"layout {vendor.kind} ({vendor.title}): {n} of {of} image files are its own"
    why += ", and no other layout fits" if told.count(" of ") == 1 else ""
    return vendor, sidecars[vendor.kind], why, names[vendor.kind]


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
    lines = [
        result.why,
        f"plate {plate.name}: {plate.plate_format.n_wells} wells",
        f"{len(wells)} wells with images, {len(fields)} fields, {len(plate.planes)} planes",
        f"{len(plate.channels)} channels: {quote_names(plate.channels)}",
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
