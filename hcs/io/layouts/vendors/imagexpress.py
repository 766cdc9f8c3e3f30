"""Molecular Devices ImageXpress: MetaXpress names, ``TimePoint``/``ZStep`` trees and ``.HTD``.

Observed in exports: the ``.HTD`` with ``WellsSelection`` and ``SiteSelection``; names without
``_s`` and ``_w``; trees of ``TimePoint_1/ZStep_0``, where step 0 holds projections. Quoted by other
readers from real plates: a GUID after the last part or as ``_[GUID]``, with and without ``_w``.
Reported by users: ``_z`` in the name, ten wavelengths and more, wells without a leading zero.
Inferred: sites are numbered over the selected ones, row by row.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.io.layouts.base import (
    IMAGE_ENDING,
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    fields_from,
    file_name,
    plate_format_of,
    problem,
)
from hcs.io.layouts.vendors.jdce import read_jdce

_GUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
# Plate_A01_s1_w1XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX.tif. The GUID follows without a gap and may
# itself begin with digits; since its length is fixed, one reading is possible. Letter case counts,
# or else the w12 of another microscope would be row W.
_NAME: Final = re.compile(
    r"(?:(?P<plate>.+)_)?(?P<well>(?:[A-Z]|A[A-F])\d{1,2})(?P<tokens>(?:_[swzt]\d{1,4})*)"
    rf"(?:{_GUID}|_\[{_GUID}\])?(?i:{IMAGE_ENDING})",
)
_TOKEN: Final = re.compile(r"_([swzt])(\d+)")
_GROUP_OF: Final = {"s": "site", "w": "channel", "z": "z", "t": "t"}
_TIME: Final = re.compile(r"(?:^|/)TimePoint_(\d+)/", re.IGNORECASE)
_STEP: Final = re.compile(r"(?:^|/)ZStep_(\d+)/", re.IGNORECASE)
_THUMBNAIL: Final = re.compile(r"_thumb[^/]*\.[a-z]+$", re.IGNORECASE)
_PADDED: Final = re.compile(r"[A-Z]+\d\d")


@dataclass(frozen=True)
class _ImageXpress(NamePatterns):
    """Time and z are in the folders; ``ZStep_0`` holds projections of the other steps."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when MetaXpress does not write such names.

        A name that ends in its well is left to the ``.HTD``: without one, ``_Z02.tif`` may as well
        be a plane and ``_C05.tif`` a channel of another microscope.
        """
        fields = self._read(path)
        return None if fields is None or _is_bare(fields) else fields

    def _read(self, path: str) -> NameFields | None:
        match = _NAME.fullmatch(file_name(path))
        if match is None:
            return None
        tokens = _TOKEN.findall(match["tokens"])
        told = {_GROUP_OF[letter]: str(int(number)) for letter, number in tokens}
        if len(told) < len(tokens) or not (
            _PADDED.fullmatch(match["well"]) or told.keys() & {"site", "channel"}
        ):
            return None
        groups = {"plate": match["plate"], "well": match["well"], **told}
        groups["order"] = groups.get("channel")
        time, step = _TIME.search(path), _STEP.search(path)
        if time is not None:
            groups["t"] = time[1]
        if step is not None:
            groups["z"] = step[1] if int(step[1]) > 0 else None
        return fields_from(groups)

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the ``.jdce``, else the ``.HTD``, that lies highest; a tree repeats the latter."""
        for suffix in (".jdce", ".htd"):
            files = sorted(listing.ending(suffix), key=lambda path: (path.count("/"), path))
            top = [path for path in files if path.count("/") == files[0].count("/")]
            if len(top) > 1:
                note = f"{len(top)} {suffix} files, such as {top[0]!r}: none is used"
                return Sidecar(source=top[0], notes=(note,))
            if top and suffix == ".jdce":
                return read_jdce(listing, top[0])
            if top:
                found = read_htd((listing.root / top[0]).read_bytes(), top[0])
                images = [path for path in listing.images if not self.ignores(path)]
                fields = {path: f for path in images if (f := self._read(path)) is not None}
                bare = {path: f for path, f in fields.items() if _is_bare(f)}
                found = dataclasses.replace(found, listed=tuple(bare.items()))
                return _with_absent(found, fields.values())
        return None


LAYOUT: Final = _ImageXpress(
    kind="imagexpress",
    title="ImageXpress / MetaXpress",
    example="Plate_A01_s1_w1247376DD-6ADD-442D-AE47-F54A05F3EA94.tif",
    patterns=(_NAME,),
    ignored=_THUMBNAIL,
    marks=(".jdce", ".htd"),
)


def _is_bare(fields: NameFields) -> bool:
    """Whether a name told its well alone."""
    return fields.site is None and fields.channel is None


@dataclass(frozen=True)
class _Htd(Sidecar):
    """The description of a run, with what was selected to be taken."""

    selected: tuple[Well, ...] = ()
    n_sites: int | None = None


def read_htd(data: bytes, name: str) -> _Htd:
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
        Plate format, names of the wavelengths, wells and sites that were to be taken. A file that
        is no such description gives a sidecar that holds one problem.
    """
    lines = data.decode("cp1252", errors="replace").splitlines()
    values = {
        row[0].strip(): [text.strip() for text in row[1:]]
        for row in csv.reader(lines, skipinitialspace=True)
        if row[1:]
    }
    if "HTSInfoFile" not in values:
        message = "the .HTD is not used: it does not begin with HTSInfoFile"
        return _Htd(source=name, problems=(problem(Reason.UNREADABLE, name, message),))
    waves = {
        key.removeprefix("WaveName"): texts[0]
        for key, texts in values.items()
        if re.fullmatch(r"WaveName\d+", key) and texts[0]
    }
    rows, columns = (values.get(f"{axis}Wells", [""])[0] for axis in "YX")
    return _Htd(
        source=name,
        plate_format=plate_format_of(rows, columns),
        channels=tuple(Channel(name=wave) for wave in dict.fromkeys(waves.values())),
        channel_names=waves,
        selected=tuple(_selected(values, "WellsSelection")),
        n_sites=len(_selected(values, "SiteSelection")) or None,
    )


def _selected(values: dict[str, list[str]], prefix: str) -> list[Well]:
    """Places that are TRUE in lines such as ``"WellsSelection2", FALSE, TRUE``."""
    places = []
    for key, texts in values.items():
        if match := re.fullmatch(rf"{prefix}(\d+)", key):
            row = int(match[1]) - 1
            places += [Well(row, c) for c, text in enumerate(texts) if text.upper() == "TRUE"]
    return places


def _with_absent(htd: _Htd, taken: Iterable[NameFields]) -> Sidecar:
    """Add a problem for every well and site that were selected and have no image."""
    sites: defaultdict[Well, set[int]] = defaultdict(set)
    for f in taken:
        sites[f.well].add(1 if f.site is None else f.site)
    if not (htd.selected and sites):
        return htd
    rows: list[dict[str, Any]] = []
    # A site beyond the number of selected ones says that sites are counted over the whole grid.
    counted = htd.n_sites is not None and max(map(max, sites.values())) <= htd.n_sites
    for well in htd.selected:
        if well not in sites:
            message = f"{htd.source} selects well {well.name}, of which there is no image"
            rows.append(problem(Reason.MISSING_FILE, htd.source, message, fields=NameFields(well)))
            continue
        for site in sorted(set(range(1, (htd.n_sites or 0) + 1)) - sites[well]) if counted else ():
            message = (
                f"{htd.source} selects {htd.n_sites} sites a well; "
                f"of site {site} of well {well.name} there is no image"
            )
            fields = NameFields(well, site)
            rows.append(problem(Reason.MISSING_FILE, htd.source, message, fields=fields))
    skipped: tuple[Well, ...] = ()
    if htd.plate_format is not None:
        wanted = {*htd.selected, *sites}
        skipped = tuple(well for well in htd.plate_format.wells() if well not in wanted)
    return dataclasses.replace(htd, problems=htd.problems + tuple(rows), excluded=skipped)
