"""Writes a folder of IN Cell TIFFs as an OME-Zarr plate with another library; needs no hcs.

    python benchmarks/ingest_peers.py ngio SOURCE OUT

Runs in an environment of its own, as these libraries ask for different versions of zarr. Each is
used as its documentation shows. Prints the seconds and the number of fields as JSON.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import tifffile

NAME = re.compile(r"([A-Z]+) - (\d+)\(fld (\d+) wv .*\)\.tif")
CHANNEL = "Blue - FITC"
ROWS = [chr(ord("A") + row) for row in range(16)]
COLUMNS = [str(column) for column in range(1, 25)]
Field = tuple[Path, str, str, str]


def fields_of(source: Path) -> list[Field]:
    """File, row, column and field path of every image."""
    found = []
    for path in sorted(source.iterdir()):
        match = NAME.fullmatch(path.name)
        assert match, path.name
        found.append((path, match[1], str(int(match[2])), str(int(match[3]) - 1)))
    return found


def ngio(fields: Sequence[Field], out: str) -> None:
    from ngio import create_empty_plate, create_ome_zarr_from_array

    plate = create_empty_plate(out, name="plate", ngff_version="0.5", overwrite=True)
    for path, row, column, field in fields:
        plate.add_image(row, column, field)
        create_ome_zarr_from_array(
            plate.get_image_store(row, column, field),
            tifffile.imread(path)[None],
            pixelsize=0.65,
            axes_names=["c", "y", "x"],
            channels_meta=[CHANNEL],
            levels=2,
            consolidation_mode="auto",
            ngff_version="0.5",
            overwrite=True,
        )


def ngff_zarr(fields: Sequence[Field], out: str) -> None:
    import ngff_zarr as nz
    from ngff_zarr.hcs import HCSPlate, to_hcs_zarr, write_hcs_well_image

    wells = sorted({(row, column) for _, row, column, _ in fields})
    plate = nz.Plate(
        name="plate",
        rows=[nz.PlateRow(name=row) for row in ROWS],
        columns=[nz.PlateColumn(name=column) for column in COLUMNS],
        wells=[
            nz.PlateWell(
                path=f"{row}/{column}", rowIndex=ROWS.index(row), columnIndex=int(column) - 1
            )
            for row, column in wells
        ],
        version="0.5",
    )
    to_hcs_zarr(HCSPlate(store=out, plate_metadata=plate), out)
    for path, row, column, field in fields:
        image = nz.to_ngff_image(
            tifffile.imread(path)[None],
            dims=["c", "y", "x"],
            scale={"c": 1.0, "y": 0.65, "x": 0.65},
        )
        write_hcs_well_image(
            out,
            nz.to_multiscales(image, scale_factors=[8]),
            plate,
            row,
            column,
            int(field),
            version="0.5",
        )


def ome_writers(fields: Sequence[Field], out: str) -> None:
    from ome_writers import (
        AcquisitionSettings,
        Dimension,
        Plate,
        Position,
        PositionDimension,
        create_stream,
    )

    height, width = tifffile.imread(fields[0][0]).shape
    positions = [
        Position(name=field, plate_row=row, plate_column=column) for _, row, column, field in fields
    ]
    settings = AcquisitionSettings(
        root_path=out,
        dimensions=[
            PositionDimension(coords=positions),
            Dimension(name="c", count=1, type="channel"),
            Dimension(name="y", count=height, chunk_size=min(height, 512), type="space"),
            Dimension(name="x", count=width, chunk_size=min(width, 512), type="space"),
        ],
        dtype="uint16",
        compression="blosc-lz4",
        plate=Plate.from_standard_wells(384),
        format="ome-zarr",
        overwrite=True,
    )
    with create_stream(settings) as stream:
        for path, *_ in fields:
            stream.append(tifffile.imread(path))


def iohub(fields: Sequence[Field], out: str) -> None:
    from iohub import open_ome_zarr

    with open_ome_zarr(out, layout="hcs", mode="w", channel_names=[CHANNEL]) as plate:
        for path, row, column, field in fields:
            position = plate.create_position(row, column, field)
            position.create_image("0", tifffile.imread(path)[None, None, None])


PEERS: dict[str, Callable[[Sequence[Field], str], None]] = {
    "ngio": ngio,
    "ngff-zarr": ngff_zarr,
    "ome-writers": ome_writers,
    "iohub": iohub,
}


def main() -> None:
    name, source, out = sys.argv[1:4]
    fields = fields_of(Path(source))
    PEERS[name](fields[:2], f"{out}.warm")  # imports and first-call costs are not the point
    started = time.perf_counter()
    PEERS[name](fields, out)
    print(json.dumps({"seconds": time.perf_counter() - started, "fields": len(fields)}))


if __name__ == "__main__":
    main()
