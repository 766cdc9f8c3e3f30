"""Folders of mask images: which mask is of which field of a plate, and its pixels."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from upath import UPath

from hcs.domain.columns import Reason
from hcs.domain.wells import Well
from hcs.errors import Fault, FaultsError, ImageReadError, InputError, NotFoundError
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.images.tiff import MAX_PIXELS
from hcs.io.plates.stamps import ABSENT
from hcs.io.runs.fingerprints import file_stamp

_TYPES: Final = (".tif", ".tiff", ".png")

_SUFFIX: Final = re.compile(
    r"([_ .-](cp|stardist|cellpose|ilastik))?"
    r"[_ .-](masks?|labels?|lbl|seg|segmentation|objects?|object[ _-]?identities)$",
    re.IGNORECASE,
)
"""What programs append to the name of an image for its mask."""

_WELL: Final = re.compile(
    r"^(?P<well>[A-Z]{1,2} ?-? ?\d{1,3})"
    r"(?:(?:[_ -](?:s|f|site|field|fov)?|s|f|site|field|fov)[_ -]?(?P<site>\d+))?"
    r"(?:[_ -]?t[_ -]?(?P<time>\d+))?$",
    re.IGNORECASE,
)

NAMES: Final = (
    "IMAGE, WELL or WELL_SITE, as A01_1, with an ending such as _mask, _masks, _cp_masks or "
    "_labels or without (IMAGE: name of a source image without its type; SITE: as "
    "Metadata_Site of the plate; of a time-lapse WELL_SITE_tTIME, as A01_1_t0), .tif or .png"
)
"""How masks are named, in words."""


@dataclass(frozen=True, slots=True)
class Place:
    """A field that masks can be of: its path, well and site, and its source files."""

    field_path: str
    well: str
    site: int
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Masks:
    """Masks of one plate.

    Attributes
    ----------
    files
        Path of the mask by field and time point.
    unmatched
        Images in the folder that are of no field.
    """

    files: Mapping[tuple[str, int], str]
    unmatched: tuple[str, ...] = ()

    def find(self, folder: str, field_path: str, time: int) -> str:
        """Path of the mask of a field at a time point.

        Raises
        ------
        ImageReadError
            When there is none: a missing mask is no field without objects.
        """
        file = self.files.get((field_path, time))
        if file is None:
            msg = f"{folder} has no mask of field {field_path}; masks are named {NAMES}"
            raise ImageReadError(msg, Reason.MISSING_FILE)
        return file

    def stamp_all(self, field_paths: Iterable[str]) -> dict[str, str]:
        """Fingerprint of the masks of each field by their names, sizes and times of change."""
        of_field: dict[str, list[str]] = {path: [] for path in field_paths}
        for (path, time), file in sorted(self.files.items()):
            of_field[path].append(f"{time}:{file}:{file_stamp(as_path(file))}")
        return {path: " ".join(found) or ABSENT for path, found in of_field.items()}


def match_masks(
    folder: AnyPath, plate: str, places: Sequence[Place], n_t: int = 1, *, alone: bool
) -> Masks:
    """Find which masks of a folder are of which fields of a plate.

    Parameters
    ----------
    folder
        Holds the masks, or a folder named as the plate that does.
    plate
        Name of the plate.
    places
        Its fields.
    n_t
        Time points of the plate.
    alone
        Whether it is the only plate, so that masks need no folder of its own.

    Raises
    ------
    NotFoundError
        When there is no such folder.
    InputError
        When no mask is of any field, or several plates share one folder.
    FaultsError
        When two masks are of one field; all such at once.
    """
    root = _choose_folder(as_path(folder), plate, alone=alone)
    finder = _Finder.of(plate, places, n_t)
    found: dict[tuple[str, int], list[str]] = {}
    bare: set[str] = set()
    unmatched = []
    for file in sorted(root.iterdir(), key=lambda each: each.name):
        if file.suffix.lower() not in _TYPES or file.name.startswith("."):
            continue
        key, is_bare = finder.find(file.name.removesuffix(file.suffix))
        if key is None:
            unmatched.append(file.name)
            continue
        found.setdefault(key, []).append(str(file))
        bare |= {str(file)} if is_bare else set()
    if not found:
        example = f"{places[0].well}_{places[0].site}_mask.tif" if places else "A01_1_mask.tif"
        shown = f", as {unmatched[0]}" if unmatched else ""
        msg = (
            f"{root}: none of its {len(unmatched)} images{shown} is named as a mask of plate "
            f"{plate}; masks are named {NAMES}, for example {example}"
        )
        raise InputError(msg)
    return Masks(_refuse_twice(str(root), found, bare), tuple(unmatched))


def _choose_folder(folder: UPath, plate: str, *, alone: bool) -> UPath:
    if not folder.is_dir():
        msg = f"{folder}: no such folder of masks"
        raise NotFoundError(msg)
    own = folder / plate
    if own.is_dir():
        return own
    if not alone:
        msg = (
            f"{folder} has no folder {plate}: masks of several plates lie in a folder a plate, "
            f"named as it is ({own})"
        )
        raise InputError(msg)
    return folder


def _refuse_twice(
    root: str, found: Mapping[tuple[str, int], list[str]], bare: set[str]
) -> dict[tuple[str, int], str]:
    """Take one mask a field; an image beside its own mask is no mask."""
    files, faults = {}, []
    for (path, time), several in found.items():
        named = [file for file in several if file not in bare]
        files[path, time] = (named or several)[0]
        if len(named or several) > 1:
            names = ", ".join(as_path(file).name for file in named or several)
            faults.append(Fault(root, f"several masks of field {path}: {names}"))
    if faults:
        what = f"{root}: masks of other objects lie in a folder of their own"
        raise FaultsError(what, faults)
    return files


@dataclass(frozen=True)
class _Finder:
    """Finds the field that a mask is of, by its name."""

    plate: str
    n_t: int
    by_source: Mapping[str, str | None]
    by_site: Mapping[tuple[str, int], str]
    by_well: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, plate: str, places: Iterable[Place], n_t: int) -> _Finder:
        by_source: dict[str, str | None] = {}
        by_site: dict[tuple[str, int], str] = {}
        by_well: dict[str, list[str]] = {}
        for place in places:
            by_site[place.well, place.site] = place.field_path
            by_well.setdefault(place.well, []).append(place.field_path)
            for source in place.sources:
                stem = as_path(source).name.rsplit(".", 1)[0]
                same = by_source.get(stem, place.field_path) == place.field_path
                by_source[stem] = place.field_path if same else None  # of several: of none
        return cls(plate, n_t, by_source, by_site, by_well)

    def find(self, stem: str) -> tuple[tuple[str, int] | None, bool]:
        """Field and time of a mask, and whether its name is that of the image itself."""
        for ending in (None, _SUFFIX):
            short = stem if ending is None else ending.sub("", stem)
            if self.n_t == 1 and (path := self.by_source.get(short)):
                return (path, 0), short == stem
        return self._find_well(_SUFFIX.sub("", stem)), False

    def _find_well(self, stem: str) -> tuple[str, int] | None:
        match = _WELL.match(stem.removeprefix(f"{self.plate}_"))
        if match is None:
            return None
        try:
            well = Well.parse(re.sub(r"[ -]", "", match["well"])).name
        except InputError:
            return None
        time = 0 if match["time"] is None else int(match["time"])
        if (match["time"] is None) != (self.n_t == 1) or time >= self.n_t:
            return None
        if match["site"] is not None:
            path = self.by_site.get((well, int(match["site"])))
            return None if path is None else (path, time)
        paths = self.by_well.get(well, [])
        return (paths[0], time) if len(paths) == 1 else None


def read_mask(file: AnyPath, shape: tuple[int, int] | None = None) -> NDArray[Any]:
    """Read a mask image.

    Parameters
    ----------
    file
        TIFF or PNG of one plane.
    shape
        ``(Y, X)`` of its field; None takes any.

    Returns
    -------
    ndarray
        ``(Y, X)`` of the type that is stored.

    Raises
    ------
    ImageReadError
        When it cannot be read, has colors or several planes, or is of another shape.
    """
    path = as_path(file)
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".png":
            pixels = np.asarray(imagecodecs.png_decode(data))
        else:
            pixels = _decode_tiff(path, data)
    except ImageReadError:
        raise
    except FileNotFoundError as error:
        raise ImageReadError(f"{path}: no such mask", Reason.MISSING_FILE) from error
    except _DAMAGE as error:
        raise ImageReadError(f"{path}: no whole mask image: {error}", Reason.UNREADABLE) from error
    if pixels.ndim > 2:
        pixels = _take_plane(str(path), pixels)
    if shape is not None and pixels.shape != shape:
        found, wanted = (" × ".join(map(str, each)) for each in (pixels.shape, shape))
        msg = (
            f"{path}: {found} pixels, its field has {wanted}; resize the mask to its field by "
            "nearest neighbor (skimage.transform.resize with order=0)"
        )
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


_DAMAGE: Final = (ValueError, TypeError, LookupError, ArithmeticError, OSError, RuntimeError)


def _decode_tiff(path: UPath, data: bytes) -> NDArray[Any]:
    """Decode the first series; a strip that is lost would read as zeros, which is background."""
    with tifffile.TiffFile(io.BytesIO(data), name=path.name, _multifile=False) as tif:
        series = tif.series[0]
        height, width = series.shape[-2:] if series.ndim > 1 else (0, 0)
        if height * width > MAX_PIXELS or int(np.prod(series.shape)) > 4 * MAX_PIXELS:
            msg = f"{path}: claims {height} × {width} pixels, more than {MAX_PIXELS} in all"
            raise ImageReadError(msg, Reason.UNREADABLE)
        for page in series.pages:
            if page is None:
                continue
            ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
            if max(ends, default=0) > len(data) or not all(page.databytecounts):
                raise ImageReadError(f"{path}: bytes of its pixels are missing", Reason.TRUNCATED)
        return np.asarray(series.asarray(maxworkers=1))


def _take_plane(name: str, pixels: NDArray[Any]) -> NDArray[Any]:
    """Take the plane of a mask that was saved with more axes: one plane, or one gray in colors."""
    if pixels.shape[-1] in {3, 4} and pixels.dtype == np.uint8 and pixels.ndim == 3:
        gray = pixels[..., 0]
        if all((pixels[..., band] == gray).all() for band in (1, 2)):
            return gray
        msg = f"{name}: is in color; a mask has one number an object, in one plane"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    squeezed = pixels.reshape([length for length in pixels.shape if length > 1] or [1, 1])
    if squeezed.ndim == 2:
        return squeezed
    msg = f"{name}: holds {' × '.join(map(str, pixels.shape))} pixels; a mask has one plane"
    raise ImageReadError(msg, Reason.WRONG_SHAPE)
