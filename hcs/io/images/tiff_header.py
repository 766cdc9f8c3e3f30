"""What the header of a TIFF says: shape, type, pages and, where it can be trusted, pixel size."""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree as ET

import numpy as np
import tifffile

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError
from hcs.io.images.steps import NOTHING_STATED, UM_PER_UNIT, Steps, read_imagej, read_ome

PLAUSIBLE_PIXEL_UM: Final = (0.03, 3.4)
"""A pixel in the specimen plane, in µm, that a bare resolution tag may state.

From 100× on a small sensor to 2× on a usual one. Above it a resolution tag states the pitch of the
sensor instead (3.45 µm and more; Harmony writes 6.45 µm where its index file says 1.196 µm) or a
printer's dots per inch.
"""

_UM_PER_CM: Final = 1e4
_CENTIMETER: Final = 3
_GRAY_PHOTOMETRICS: Final = (1, 32844)
_PALETTE: Final = 3
_MIN_IS_WHITE: Final = 0


@dataclass(frozen=True, slots=True)
class PagePosition:
    """Which plane a page of a multi-page file is, all 0-based."""

    channel: int = 0
    z_index: int = 0
    t_index: int = 0


@dataclass(frozen=True, slots=True)
class PlaneInfo:
    """Header of an image file.

    Attributes
    ----------
    shape
        ``(Y, X)`` of the first page.
    dtype
        Pixel type of the first page.
    n_planes
        Number of planes that the file holds in its first series: those of its header, which may
        be more than it has directories.
    n_others
        Number of further pages that are no thumbnails: of another size, or of a second image.
    is_cut
        Whether pages may be lost: the last directory points at one beyond the end of the file.
    pages
        What to ask of :func:`hcs.io.images.tiff.read_plane` for each plane.
    pixel_size_um
        Edge of a pixel in µm, or None where the file states none that can be trusted.
    positions
        What each plane is, as the metadata of ImageJ, OME and others say; empty when a file of
        several does not say it.
    channel_names
        Names of the channels as OME or ImageJ metadata have them; may be empty.
    steps
        What OME or ImageJ metadata say of distances between planes and times.
    is_lossy
        Whether compression has changed the intensities (JPEG).
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]
    n_planes: int = 1
    n_others: int = 0
    is_cut: bool = False
    pages: tuple[int, ...] = (0,)
    pixel_size_um: float | None = None
    positions: tuple[PagePosition, ...] = (PagePosition(),)
    channel_names: tuple[str, ...] = field(default=())
    steps: Steps = NOTHING_STATED
    is_lossy: bool = False


def find_page(tif: tifffile.TiffFile, page: int, name: str) -> tifffile.TiffPage:
    """Return a page of an open file, or say how many there are."""
    try:
        return tif.pages[page].aspage()
    except IndexError as error:
        count = len(tif.pages)
        if count == 0:
            msg = f"{name}: no image directory, expected a TIFF image"
            raise ImageReadError(msg, Reason.TRUNCATED) from error
        msg = f"{name}: page {page} was asked for; the file has {count}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE) from error


def describe_page(page: tifffile.TiffPage, name: str) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape ``(Y, X)`` and type of a gray page; raises ``wrong-type`` for anything else."""
    found = _why_not_gray(page)
    if found is not None:
        msg = f"{name}: {found}, expected one gray channel of 8 or 16 bits or float32"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if page.dtype is None or page.imagedepth != 1:
        msg = f"{name}: a page of {page.bitspersample} bits and depth {page.imagedepth}"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    return (int(page.imagelength), int(page.imagewidth)), np.dtype(page.dtype)


def _why_not_gray(page: tifffile.TiffPage) -> str | None:
    """Say what a page is when it is not intensities of one channel."""
    if page.samplesperpixel != 1:
        return f"color image of {page.samplesperpixel} samples a pixel"
    if page.photometric == _MIN_IS_WHITE:
        return "image whose largest value means black"
    if page.photometric == _PALETTE and not _is_lookup_table(page):
        return "palette image, whose values are no intensities"
    if page.photometric not in {*_GRAY_PHOTOMETRICS, _PALETTE}:
        return f"photometric interpretation {page.photometric}"
    if page.bitspersample not in {8, 16, 32}:
        return f"image of {page.bitspersample} bits"
    return None


def _is_lookup_table(page: tifffile.TiffPage) -> bool:
    """Whether a palette only colors intensities for display, as ImageJ and vendors' exports do."""
    if page.is_imagej or page.parent.is_imagej:
        return True
    table = page.colormap
    return table is not None and bool((np.diff(table.astype(np.int64), axis=1) >= 0).all())


_SHAPE: Final = re.compile(r'"shape": *\[([0-9, ]*)\]')
_IMAGEJ_LENGTH: Final = re.compile(r"^(?:images|channels|slices|frames)=(\d+)", re.MULTILINE)
"""What descriptions say of lengths, for files of one plane: a fifth of what tifffile takes."""


def count_planes(tif: tifffile.TiffFile) -> tuple[int, int]:
    """Count the planes of an open file, and its other pages that are no thumbnails.

    Quick for a file of one.
    """
    if _has_one_plane(tif):
        return 1, 0
    pages, _, n_others = _find_planes(tif, named=False)
    return len(pages), n_others


def is_cut(tif: tifffile.TiffFile) -> bool:
    """Whether the chain of directories leads beyond the end of the file: pages may be lost.

    tifffile passes over that, as it must for writers that leave garbage in the last link.
    """
    last = tif.pages[len(tif.pages) - 1]
    form, handle = tif.tiff, tif.filehandle
    handle.seek(last.offset)
    count = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))[0]
    handle.seek(last.offset + form.tagnosize + count * form.tagsize)
    link = handle.read(form.offsetsize)
    return len(link) < form.offsetsize or struct.unpack(form.offsetformat, link)[0] >= handle.size


def _has_one_plane(tif: tifffile.TiffFile) -> bool:
    """Whether a file has one directory, and that one no planes behind one another."""
    if len(tif.pages) > 1:
        return False
    page = tif.pages.first
    text = page.description
    if page.is_shaped:
        shape = _SHAPE.search(text) or _SHAPE.search(page.description1)
        lengths = [int(number) for number in (shape[1].split(",") if shape else ()) if number]
        return math.prod(lengths) == page.imagelength * page.imagewidth
    if page.is_imagej:
        return all(int(number) == 1 for number in _IMAGEJ_LENGTH.findall(text))
    return not page.is_stk


def planes_of(tif: tifffile.TiffFile, shape: tuple[int, int], dtype: np.dtype[Any]) -> PlaneInfo:
    """Describe all planes of an open file whose first page has this shape and type."""
    pages, positions, n_others = (
        ((0,), (PagePosition(),), 0) if _has_one_plane(tif) else _find_planes(tif)
    )
    names: tuple[str, ...] = ()
    if tif.is_ome:
        names = _ome_channel_names(tif.ome_metadata or "")
    elif tif.is_imagej:
        labels = (tif.imagej_metadata or {}).get("Labels", [])
        names = tuple(str(label).strip() for label in labels)
    n_channels = 1 + max((position.channel for position in positions), default=0)
    return PlaneInfo(
        shape=shape,
        dtype=dtype,
        n_planes=len(pages),
        n_others=n_others,
        is_cut=is_cut(tif),
        pages=pages,
        pixel_size_um=_pixel_size_um(tif),
        positions=positions,
        steps=_read_steps(tif),
        channel_names=names if len(set(names) - {""}) == len(names) == n_channels else (),
    )


def _find_planes(
    tif: tifffile.TiffFile, *, named: bool = True
) -> tuple[tuple[int, ...], tuple[PagePosition, ...], int]:
    """Pages of the first series, what each is, and the number of other pages.

    The series counts, not the directories: ImageJ beyond 4 GB, MetaMorph's STK and tifffile's
    truncated files have one directory for all of their planes. A page is then the plane's number.
    Positions are empty where the file does not say what its pages are, and where they are not to
    be named: 2,000 planes in one directory, each read with all named, took 5 s for 0.1.
    """
    series = tif.series
    if not series:
        return tuple(range(len(tif.pages))), (), 0
    first, *others = series
    # tifffile takes pages of half the size for a pyramid, also those of a binned second channel.
    apart = [each for each in (*first.levels[1:], *others) if not _is_thumbnail(each.keyframe)]
    n_others = sum(len(each) for each in apart)
    axes = first.axes.rstrip("S")
    lengths = first.shape[: len(axes) - 2]
    count = int(np.prod(lengths)) if axes.endswith("YX") else len(first)
    says = named and axes.endswith("YX")
    positions = tuple(_name_positions(axes[:-2], lengths)) if says else ()
    _refuse_lost(tif, count)
    if len(tif.pages) == 1 or first.kind in {"imagej", "nih"}:
        n_directories = len(tif.pages)
        if 1 < n_directories != count:  # neither a page a plane, nor all planes in one
            return tuple(range(n_directories)), (), 0
        return tuple(range(count)), _unless_single(positions, count), n_others
    there = [(at, page.index) for at, page in enumerate(first.pages) if page is not None]
    pages = tuple(page for _, page in there)
    if len(first.pages) != len(positions):
        return pages, _unless_single((), len(pages)), n_others
    return pages, tuple(positions[at] for at, _ in there), n_others


def _is_thumbnail(page: tifffile.TiffPage) -> bool:
    """Whether a page says that it is a smaller copy of another."""
    return bool(page.is_reduced or page.is_subifd)


def _refuse_lost(tif: tifffile.TiffFile, count: int) -> None:
    """Refuse an ImageJ stack of which bytes are missing: tifffile makes one plane of it."""
    if not tif.is_imagej:
        return
    stated = tif.imagej_metadata or {}
    n_stated = math.prod(int(stated.get(axis, 1)) for axis in ("frames", "slices", "channels"))
    n_stated = max(n_stated, int(stated.get("images", 1)))
    if n_stated > max(count, len(tif.pages)):
        msg = f"{tif.filename}: its header says {n_stated} planes, and there are bytes for {count}"
        raise ImageReadError(msg, Reason.TRUNCATED)


def _unless_single(positions: tuple[PagePosition, ...], count: int) -> tuple[PagePosition, ...]:
    return (PagePosition(),) if count == 1 else positions


def _name_positions(axes: str, lengths: Sequence[int]) -> Iterator[PagePosition]:
    """Position of every plane, the last axis running fastest; none when an axis has no name."""
    if any(axis not in "CZT" and length > 1 for axis, length in zip(axes, lengths, strict=True)):
        return
    for index in np.ndindex(*lengths):
        at = dict(zip(axes, index, strict=True))
        yield PagePosition(at.get("C", 0), at.get("Z", 0), at.get("T", 0))


def _pixel_size_um(tif: tifffile.TiffFile) -> float | None:
    """Pixel size from metadata that name a length unit; None when absent, unequal or implausible.

    OME-XML, MetaMorph's calibration and ImageJ's unit are statements of the acquisition software
    and believed whatever they say: a 1× objective or a binned camera has pixels of 10 µm.
    A bare resolution tag is believed in centimeters only, and only in the plausible range.
    """
    for pair in (_ome_size(tif), _metaseries_size(tif), _imagej_size(tif)):
        if pair is not None:
            return _square(*pair)
    size_um = _square(*(_tag_size(tif) or (0.0, 1.0)))
    low, high = PLAUSIBLE_PIXEL_UM
    return size_um if size_um is not None and low <= size_um <= high else None


def _square(x: float, y: float) -> float | None:
    """Edge of a pixel that is square, None of any other."""
    square = abs(x - y) <= 0.01 * max(x, y)
    return round(x, 9) if square and x > 0 and math.isfinite(x) else None


def _read_steps(tif: tifffile.TiffFile) -> Steps:
    if tif.is_imagej:
        return read_imagej(tif.imagej_metadata or {})
    root = _ome_root(tif.ome_metadata or "") if tif.is_ome else None
    pixels = None if root is None else root.find(".//{*}Pixels")
    try:
        return NOTHING_STATED if pixels is None else read_ome(pixels)
    except ValueError:  # an index that is no number
        return NOTHING_STATED


@functools.lru_cache(maxsize=8)  # one header asks three times
def _ome_root(xml: str) -> ET.Element | None:
    try:
        return ET.fromstring(xml)  # expat bounds entity expansion
    except ET.ParseError:
        return None


def _ome_channel_names(xml: str) -> tuple[str, ...]:
    root = _ome_root(xml)
    pixels = None if root is None else root.find(".//{*}Pixels")
    if pixels is None:
        return ()
    return tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel"))


def _ome_size(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    root = _ome_root(tif.ome_metadata or "") if tif.is_ome else None
    pixels = None if root is None else root.find(".//{*}Pixels")
    if pixels is None:
        return None
    sizes = []
    for axis in "XY":
        text, unit = (pixels.get(f"PhysicalSize{axis}{end}") for end in ("", "Unit"))
        sizes.append(length_um(text, unit))
    x, y = sizes
    return None if x is None or y is None else (x, y)


def length_um(text: str | None, unit: str | None) -> float | None:
    """Length of OME-XML in µm, its default unit; None when it is absent or no length."""
    value = _number(text)
    factor = UM_PER_UNIT.get(unit or "µm")
    return None if value is None or factor is None or value <= 0 else round(value * factor, 9)


def position_um(text: str | None, unit: str | None) -> float | None:
    """Position of OME-XML in µm; None when absent or in the default unit, a frame of no length."""
    factor = UM_PER_UNIT.get(unit or "?")
    try:
        return None if factor is None else round(float(text or "") * factor, 6)
    except ValueError:
        return None


def _metaseries_size(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    if not tif.is_metaseries:
        return None
    plane = (tif.metaseries_metadata or {}).get("PlaneInfo", {})
    factor = UM_PER_UNIT.get(str(plane.get("spatial-calibration-units", "?")).lower())
    x, y = (_number(plane.get(f"spatial-calibration-{axis}")) for axis in "xy")
    if plane.get("spatial-calibration-state") is not True:
        return None
    if factor is None or x is None or y is None:
        return None
    return x * factor, y * factor


def _imagej_size(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    if not tif.is_imagej:
        return None
    unit = str((tif.imagej_metadata or {}).get("unit", "?")).lower()
    factor = UM_PER_UNIT.get(unit) if unit else None
    pair = _resolution(tif)
    return None if factor is None or pair is None else (factor / pair[0], factor / pair[1])


def _tag_size(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    unit = tif.pages[0].aspage().tags.get("ResolutionUnit")
    pair = _resolution(tif)
    if unit is None or int(unit.value) != _CENTIMETER or pair is None or tif.is_imagej:
        return None
    return _UM_PER_CM / pair[0], _UM_PER_CM / pair[1]


def _resolution(tif: tifffile.TiffFile) -> tuple[float, float] | None:
    """Pixels per unit in x and y."""
    values = []
    for axis in "XY":
        tag = tif.pages[0].aspage().tags.get(f"{axis}Resolution")
        if tag is None or 0 in tag.value:
            return None
        values.append(tag.value[0] / tag.value[1])
    return values[0], values[1]


def _number(value: object) -> float | None:
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9.]+([eE][-+]?[0-9]+)?\s*", value):
        return float(value)
    return None
