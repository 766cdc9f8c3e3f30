"""``hcs ingest``: microscope images and a plate map to an OME-Zarr plate."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def layout_section(text: str, well: str | None) -> dict[str, str]:
    """Turn ``auto``, a vendor or ``regex:PATTERN`` into a configuration section."""
    kind, _, pattern = text.partition(":")
    if well and kind != "regex":
        raise typer.BadParameter("it needs --layout regex:PATTERN", param_hint="--well")
    given = {"kind": kind, "pattern": pattern, "well": well}
    return {name: value for name, value in given.items() if value}


def ingest(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder of images, or an OME-Zarr plate.")
    ],
    out: Annotated[str, typer.Argument(metavar="PLATE.zarr", help="Plate to write.")],
    layout: Annotated[
        str,
        typer.Option(
            help=r"How the files are named: auto, a vendor (incell, operetta, imagexpress, "
            r"cellvoyager, cellomics, scanr, cytation, embl, incucyte, ometiff, flex, omezarr, "
            r"container for CZI, ND2 and LIF), or regex:PATTERN with the groups well, row + "
            r"column, or well_number (which needs --plate-wells), and site, channel, z (z_um), "
            r"t (t_s, t_min, t_h), plate where there are any.",
        ),
    ] = "auto",
    platemap: Annotated[
        str | None,
        typer.Option(
            help="Plate map: CSV, TSV, XLSX, parquet, or XML of Harmony; a row a well, or grids."
        ),
    ] = None,
    sheet: options.Sheet = None,
    decimal: options.Decimal = None,
    barcodes: Annotated[
        str | None,
        typer.Option(
            help="Table that says which plate (barcode) carries which plate map, where one "
            "map serves several."
        ),
    ] = None,
    barcodes_sheet: Annotated[
        str | None, typer.Option(help="Sheet of a workbook that holds the --barcodes.")
    ] = None,
    plate_name: Annotated[
        str | None, typer.Option(help="Name of the plate; by default the source folder's.")
    ] = None,
    plate_wells: Annotated[
        int | None,
        typer.Option(
            help="Wells of the plate: 6, 12, 24, 48, 96, 384 or 1536; by default the "
            "smallest that fits."
        ),
    ] = None,
    pixel_size_um: Annotated[
        float | None, typer.Option(help="Pixel size in µm, when the files do not say.")
    ] = None,
    acquisition: Annotated[
        int | None,
        typer.Option(
            help="Read one acquisition of an OME-Zarr plate; by default each becomes channels of "
            "the same fields."
        ),
    ] = None,
    well: Annotated[
        str | None, typer.Option(help="Well of every file, where a regex: has no group for it.")
    ] = None,
    pages: Annotated[
        str | None,
        typer.Option(
            help="What the pages of a file are, where its header does not say it: channel, z or t."
        ),
    ] = None,
    project_z: Annotated[
        str,
        typer.Option(
            "--project-z",
            help="What becomes of z-stacks: keep, max, mean, focus (the sharpest plane), "
            "z:INDEX or z:HEIGHTum.",
        ),
    ] = "keep",
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read the plate once more; compare all pixels' checksums."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be read; write nothing.")
    ] = False,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Write the images of one plate as OME-Zarr 0.5, with the plate map as its tables.

    Bad images are listed and left out; the exit code is then 3. An existing
    OME-Zarr plate is copied or converted, or, with the same path twice, used as
    it lies: it only gets a plate map.

    Example: hcs ingest tiffs/P1 P1.zarr --platemap wells.csv
    """
    from hcs_cli.running import run_stage

    settings: dict[str, Any] = {
        "source": source,
        "out": out,
        "layout": layout_section(layout, well),
        "platemap": platemap,
        "sheet": sheet,
        "decimal": decimal,
        "barcodes": barcodes,
        "barcodes_sheet": barcodes_sheet,
        "plate_name": plate_name,
        "plate_wells": plate_wells,
        "pixel_size_um": pixel_size_um,
        "acquisition": acquisition,
        "pages": pages,
        "projection": project_z,
        "verify": verify,
        "strict": strict,
    }

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import IngestConfig
        from hcs.stages import ingest as stages_ingest

        config = IngestConfig.model_validate(settings)
        return stages_ingest.preview(config) if dry_run else stages_ingest.run(config, client)

    run_stage(stage, cluster="inline" if dry_run else cluster, as_json=as_json)
