"""Counts the pages of a plate's files, and makes a plane of each by what the headers say it is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from upath import UPath

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import PageAxis
from hcs.domain.plate import Plane
from hcs.errors import ImageReadError
from hcs.io.images import tiff
from hcs.io.images.tiff_header import PagePosition, PlaneInfo
from hcs.io.layouts.base import NO_CHANNEL, NameFields, problem

_HEADERS_AT_ONCE: Final = 8
"""Threads that read headers; reading one is all waiting."""

_SAMPLED: Final = 24
"""Headers read of a plate at planning. A file of several pages that none of them shows is refused
by the worker that reads it."""

_SAMPLED_OF_CHANNEL: Final = 3

Headers = dict[str, PlaneInfo | None]
"""Header by relative path; None where it cannot be read, which the reading stage reports."""


def sample_headers(root: UPath, planes: Sequence[Plane]) -> Headers:
    """Read the headers of some files of every channel: the first, the last, and some between."""
    of_channel: defaultdict[str, list[str]] = defaultdict(list)
    for plane in planes:
        of_channel[plane.channel].append(plane.path)
    each = max(1, min(_SAMPLED_OF_CHANNEL, _SAMPLED // max(1, len(of_channel))))
    chosen = []
    for paths in of_channel.values():
        last = len(paths) - 1
        chosen += [paths[round(last * step / max(1, each - 1))] for step in range(each)]
    return read_headers(root, chosen)


def read_headers(root: UPath, paths: Iterable[str]) -> Headers:
    """Read the headers of these files."""

    def header(path: str) -> PlaneInfo | None:
        try:
            return tiff.probe(root / path)
        except ImageReadError:
            return None

    wanted = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(_HEADERS_AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(header, wanted), strict=True))


def expand_pages(
    root: UPath,
    planes: Sequence[Plane],
    page_axis: PageAxis | None,
    problems: list[dict[str, Any]],
    *,
    sampled: Headers,
    every: bool,
) -> list[Plane]:
    """Make one plane of every page of every file.

    Parameters
    ----------
    root
        The source folder.
    planes
        What names and sidecars tell. A file that stands for one plane may hold more.
    page_axis
        What the user says that pages are: it wins over a header that names one axis.
    problems
        Grows by a row for every page that is not read.
    sampled
        From :func:`sample_headers`.
    every
        Whether all headers are to be read, rather than only when those of the sample show several
        pages.

    Returns
    -------
    list of Plane
        A file of which one page is known has ``file_pages`` 1: whoever reads it must refuse more.
    """
    known = Counter(plane.path for plane in planes)
    told = [path for path, count in known.items() if count > 1]
    paged = any(info is not None and info.n_planes > 1 for info in sampled.values())
    wanted = list(known) if every or paged or page_axis is not None else told
    headers = sampled | read_headers(root, [path for path in wanted if path not in sampled])
    expanded = []
    for plane in planes:
        info = headers.get(plane.path)
        if known[plane.path] > 1:
            expanded.append(plane.model_copy(update={"file_pages": known[plane.path]}))
        elif info is None or info.n_planes == 1:
            expanded.append(plane)
        else:
            expanded += _expand_file(plane, info, page_axis, problems)
    _name_unread(expanded, headers, problems)
    return expanded


def _name_unread(
    planes: Iterable[Plane], headers: Mapping[str, PlaneInfo | None], problems: list[dict[str, Any]]
) -> None:
    """Name the files of which some pages are read and others are not."""
    seen = set()
    for plane in planes:
        info = headers.get(plane.path)
        if info is None or plane.path in seen or plane.file_pages == 1:
            continue  # whoever reads a file of one plane sees what else it holds
        seen.add(plane.path)
        n_unread = info.n_planes + info.n_others - plane.file_pages
        if n_unread > 0:
            kind = " of another image or size" if info.n_others else ""
            message = (
                f"{plane.path} has {n_unread} more pages{kind}, which neither its header nor the "
                "plate's metadata tell to be planes of the field; they are not read"
            )
            problems.append(_name_kept(plane, message))
        if info.is_cut:
            message = (
                f"{plane.path}: its last directory points at a page beyond its end, so that pages "
                f"may be lost; the {plane.file_pages} that are there are read"
            )
            problems.append(_name_kept(plane, message))


def _name_kept(plane: Plane, message: str) -> dict[str, Any]:
    fields = NameFields(plane.well, plane.site)
    return problem(Reason.UNREAD_PAGES, plane.path, message, fields=fields, kept=True)


def _expand_file(
    plane: Plane, info: PlaneInfo, page_axis: PageAxis | None, problems: list[dict[str, Any]]
) -> list[Plane]:
    """Make the planes of a file of several pages; none, and a row, where nobody says what they are.

    A header that names several axes is believed: one word of the user cannot mean them.
    """
    axes = [axis for axis in _AXES if len({getattr(p, axis) for p in info.positions}) > 1]
    positions = info.positions
    if page_axis is not None and len(axes) <= 1:
        key = "channel" if page_axis == "channel" else f"{page_axis}_index"
        positions = tuple(PagePosition(**{key: at}) for at in range(info.n_planes))
        axes = [key]
    if not positions:
        message = (
            f"{plane.path} has {info.n_planes} pages and does not say what they are: say it with "
            "--pages z, --pages t or --pages channel"
        )
        fields = NameFields(plane.well, plane.site)
        problems.append(problem(Reason.UNREAD_PAGES, plane.path, message, fields=fields))
        return []
    made = []
    for page, position in zip(info.pages, positions, strict=True):
        update: dict[str, Any] = {"page": page, "file_pages": info.n_planes}
        if "channel" in axes:
            names = info.channel_names
            label = names[position.channel] if names else str(position.channel)
            named = plane.channel != NO_CHANNEL
            update["channel"] = f"{plane.channel} {label}" if named else label
        update |= {axis: getattr(position, axis) for axis in axes if axis != "channel"}
        made.append(plane.model_copy(update=update))
    return made


_AXES: Final = ("channel", "z_index", "t_index")


def find_pixel_size(headers: Mapping[str, PlaneInfo | None]) -> tuple[float, str] | None:
    """Pixel size in µm of the finest images, and a file that states it.

    Channels of one plate may be binned differently, so that the first file would not do. None
    where the headers do not state it, or state several.
    """
    found = {path: info for path, info in headers.items() if info is not None}
    if not found:
        return None
    finest = max(info.shape for info in found.values())
    sizes = {path: info.pixel_size_um for path, info in found.items() if info.shape == finest}
    stated = [(size, path) for path, size in sizes.items() if size is not None]
    if not stated or max(stated)[0] - min(stated)[0] > _SAME * min(stated)[0]:
        return None
    return stated[0]


_SAME: Final = 1e-3
