"""OME-TIFF plates: single files and companion sets whose OME-XML has a Plate element."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final
from xml.etree import ElementTree as ET

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FieldPosition
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import ImageReadError
from hcs.io.images import tiff
from hcs.io.images.steps import Steps, agree, read_ome
from hcs.io.images.tiff_header import length_um, position_um
from hcs.io.layouts.base import (
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    beside,
    plate_format_of,
    problem,
    stage_position,
)

_OME_TIFF: Final = (".ome.tif", ".ome.tiff", ".ome.tf2", ".ome.btf")
_COMPANION: Final = ".companion.ome"


@dataclass(frozen=True)
class _OmeTiff(NamePatterns):
    """Names tell nothing: which plane a page is stands in the OME-XML, and nowhere else."""

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read companion files, then every OME-TIFF that no XML before it has described."""
        found = _Found()
        for path in listing.ending(_COMPANION):
            found.read((listing.root / path).read_bytes().decode(errors="replace"), path)
        for path in listing.images:
            if path.lower().endswith(_OME_TIFF) and path not in found.files:
                try:
                    xml = tiff.ome_xml(listing.root / path)
                except ImageReadError as error:
                    found.problems.append(problem(Reason(error.reason), path, str(error)))
                    continue
                found.read(xml, path)
        return found.sidecar()


LAYOUT: Final = _OmeTiff(kind="ometiff", title="OME-TIFF plate", example="", patterns=())


class _Found:
    """What the OME-XML of one folder says of plates."""

    def __init__(self) -> None:
        self.source: str | None = None
        self.plate_name: str | None = None
        self.plate_formats: set[PlateFormat | None] = set()
        self.sizes_um: defaultdict[int | None, set[float]] = defaultdict(set)
        self.steps: list[Steps] = []
        self.channels: dict[str, Channel] = {}
        self.listed: list[tuple[str, NameFields]] = []
        self.files: set[str] = set()
        self.positions: list[FieldPosition] = []
        self.problems: list[dict[str, Any]] = []

    def sidecar(self) -> Sidecar | None:
        """All of it; None when no file has a Plate element."""
        if self.source is None:
            return None
        sizes_um = set().union(*self.sizes_um.values())
        return Sidecar(
            source=self.source,
            plate_name=self.plate_name,
            plate_format=next(iter(self.plate_formats)) if len(self.plate_formats) == 1 else None,
            pixel_size_um=min(sizes_um) if len(sizes_um) == 1 else None,
            run_pixels_um={
                run: min(sizes)
                for run, sizes in self.sizes_um.items()
                if run is not None and len(sizes) == 1
            },
            steps=agree(self.steps),
            channels=tuple(self.channels.values()),
            listed=tuple(self.listed),
            positions=tuple(self.positions),
            problems=tuple(self.problems),
        )

    def read(self, xml: str, path: str) -> None:
        """Read the OME-XML of one file; one without a Plate element is passed over."""
        try:
            root = ET.fromstring(xml) if xml else None
            plates = [] if root is None else root.findall("{*}Plate")
            if root is None or not plates:
                return
            images = {image.get("ID"): image for image in root.findall("{*}Image")}
            self.source = self.source or path
            for plate in plates:
                self._read_plate(plate, images, path, several=len(plates) > 1)
        except (ET.ParseError, ValueError, LookupError) as error:
            message = f"{path}: its OME-XML is not used, it cannot be read: {error}"
            self.problems.append(problem(Reason.UNREADABLE, path, message))

    def _read_plate(
        self,
        plate: ET.Element,
        images: Mapping[str | None, ET.Element],
        path: str,
        *,
        several: bool,
    ) -> None:
        name = plate.get("Name") or (plate.get("ID") if several else None)
        self.plate_name = self.plate_name or name
        self.plate_formats.add(plate_format_of(plate.get("Rows"), plate.get("Columns")))
        for sample in _samples(plate):
            if sample.place is not None:
                self.positions.append(sample.place)
            if (image := images.get(sample.image_id)) is not None:
                of = dataclasses.replace(sample.fields, plate=name)
                self._read_image(image, of, path)

    def _read_image(self, image: ET.Element, of: NameFields, path: str) -> None:
        pixels = image.find("{*}Pixels")
        if pixels is None:
            return
        names = self._read_channels(pixels)
        self.steps.append(read_ome(pixels))
        for axis in "XY":
            text, unit = (pixels.get(f"PhysicalSize{axis}{end}") for end in ("", "Unit"))
            if (size_um := length_um(text, unit)) is not None:
                self.sizes_um[of.acquisition].add(size_um)
        for file, page, (c, z, t) in _pages(pixels, path):
            fields = dataclasses.replace(of, channel=names[c], z=z, t=t, page=page)
            relative = beside(path, file)
            if relative is None:
                message = f"{path} names {file!r}, which lies outside the source folder"
                self.problems.append(problem(Reason.OUTSIDE_SOURCE, file, message, fields=fields))
                continue
            self.files.add(relative)
            self.listed.append((relative, fields))

    def _read_channels(self, pixels: ET.Element) -> list[str]:
        """Names of an image's channels; those without a name get their number."""
        names = []
        elements = pixels.findall("{*}Channel")
        for index in range(int(pixels.get("SizeC", "1"))):
            element = elements[index] if index < len(elements) else None
            name = (element.get("Name") if element is not None else None) or str(index)
            name = name if name not in names else f"{name} {index}"
            names.append(name)
            nanometers = [
                None if element is None else float(element.get(f"{side}Wavelength", "0")) or None
                for side in ("Excitation", "Emission")
            ]
            self.channels.setdefault(
                name, Channel(name=name, excitation_nm=nanometers[0], emission_nm=nanometers[1])
            )
        return names


@dataclass(frozen=True, slots=True)
class _Sample:
    """A field of a plate: what is known of its planes, its image and where the stage stood."""

    fields: NameFields
    image_id: str | None
    place: FieldPosition | None


def _runs(plate: ET.Element) -> dict[str | None, tuple[int, str]]:
    """Find number and name of every well sample's acquisition; empty where there is but one."""
    runs = {}
    for index, element in enumerate(plate.findall("{*}PlateAcquisition")):
        digits = re.search(r"\d+$", element.get("ID", ""))
        number = int(digits[0]) if digits else index
        name = f"acquisition {element.get('Name') or number}"
        for reference in element.findall("{*}WellSampleRef"):
            runs[reference.get("ID")] = (number, name)
    return runs if len(set(runs.values())) > 1 else {}


def _samples(plate: ET.Element) -> Iterator[_Sample]:
    """Yield every well sample; fields are numbered from 1, in the order of the XML.

    A plate that was taken several times has its samples listed by acquisition, each of which
    begins with field 1 anew.
    """
    runs = _runs(plate)
    for element in plate.findall("{*}Well"):
        well = Well(int(element.get("Row", "")), int(element.get("Column", "")))
        counts: Counter[int | None] = Counter()
        for sample in element.findall("{*}WellSample"):
            run, name = runs.get(sample.get("ID"), (None, ""))
            counts[run] += 1
            parts = (name,) if name else ()
            fields = NameFields(well, counts[run], parts=parts, acquisition=run)
            x, y = (
                position_um(sample.get(f"Position{axis}"), sample.get(f"Position{axis}Unit"))
                for axis in "XY"
            )
            reference = sample.find("{*}ImageRef")
            image_id = None if reference is None else reference.get("ID")
            yield _Sample(fields, image_id, stage_position(well, fields.site, x, y))


def _pages(pixels: ET.Element, path: str) -> Iterator[tuple[str, int, tuple[int, int, int]]]:
    """File, page and (channel, z, time) of every plane, as the TiffData elements say.

    A TiffData without IFD and PlaneCount means all planes in their order
    (docs.openmicroscopy.org/ome-model, section TiffData).
    """
    order = pixels.get("DimensionOrder", "XYZCT")[2:]
    sizes = {axis: int(pixels.get(f"Size{axis}", "1")) for axis in order}
    # The first axis of the order runs fastest, so that it comes last in the product.
    all_planes = [
        dict(zip(reversed(order), index, strict=True))
        for index in product(*(range(sizes[axis]) for axis in reversed(order)))
    ]
    for data in pixels.findall("{*}TiffData"):
        first = {axis: int(data.get(f"First{axis}", "0")) for axis in order}
        whole = data.get("IFD") is None
        count = int(data.get("PlaneCount", len(all_planes) if whole else 1))
        uuid = data.find("{*}UUID")
        file = None if uuid is None else uuid.get("FileName")
        start = all_planes.index(first)
        planes = islice(all_planes, start, start + count)
        for page, plane in enumerate(planes, start=int(data.get("IFD", "0"))):
            yield file or path.rpartition("/")[2], page, (plane["C"], plane["Z"], plane["T"])
