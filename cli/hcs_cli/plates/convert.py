"""``hcs convert``: an OME-Zarr plate in the version that another program takes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def convert(
    plate: Annotated[str, typer.Argument(metavar="PLATE.zarr", help="OME-Zarr plate.")],
    out: Annotated[str, typer.Argument(metavar="OUT.zarr", help="Plate to write.")],
    ome_zarr: Annotated[
        str, typer.Option("--ome-zarr", help="Version of OME-Zarr to write: 0.4.")
    ] = "0.4",
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Write a plate as OME-Zarr 0.4, which OMERO and older viewers take.

    Pixels are equal at all levels, and labels go with them. Any OME-Zarr plate is taken,
    images one by one, so that they may differ.

    Example: hcs convert P1.zarr P1-omero.zarr --ome-zarr 0.4
    """
    from hcs_cli.running import run_stage

    settings: dict[str, Any] = {"plate": plate, "out": out, "ome_zarr": ome_zarr, "strict": strict}

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import ConvertConfig
        from hcs.stages import convert as stages_convert

        return stages_convert.run(ConvertConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)
