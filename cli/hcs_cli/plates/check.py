"""``hcs validate`` and ``hcs info``: what a plate is, and whether it is one."""

from __future__ import annotations

from typing import Annotated

import typer

from hcs_cli import options

Plate = Annotated[str, typer.Argument(metavar="PLATE.zarr", help="OME-Zarr plate.")]


def validate(
    plate: Plate,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="Read all pixels too and compare their checksums.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Check a plate against OME-Zarr and against itself; every fault is listed.

    Example: hcs validate P1.zarr
    """
    import json

    from hcs_cli.running import DONE, FAILED, errors_as_exit_codes, told_on_stderr

    with errors_as_exit_codes():
        from hcs.io.plates.validate import faults_of
        from hcs.io.runs.unfinished import refuse_unfinished

        refuse_unfinished(plate)
        with told_on_stderr() as told:
            faults = faults_of(plate, told, pixels=pixels)
        if as_json:
            typer.echo(json.dumps({"plate": plate, "faults": faults}, ensure_ascii=False))
        elif faults:
            typer.echo(f"{plate}: {len(faults)} fault{'s' if len(faults) > 1 else ''}")
            for fault in faults:
                typer.echo(f"  {fault}")
        else:
            typer.echo(f"{plate}: a valid OME-Zarr plate")
        raise typer.Exit(FAILED if faults else DONE)


def info(
    plate: Plate,
    overview: Annotated[
        str | None, typer.Option(help="PNG file to draw: every field of the plate, small.")
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="Channel of the overview, where there are several.")
    ] = None,
    plane: options.Plane = None,
    time: options.OneTime = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a plate holds; with --overview, draw it.

    Example: hcs info P1.zarr --overview P1.png
    """
    import json

    from hcs_cli.running import errors_as_exit_codes

    with errors_as_exit_codes():
        from hcs.io.plates.describe import describe
        from hcs.io.runs.unfinished import refuse_unfinished

        refuse_unfinished(plate)
        found = describe(plate)
        if overview is not None:
            from hcs.domain.config.planes import read_plane_choice, read_time_choice
            from hcs.report.charts.plate_picture import draw_plate

            look = read_plane_choice(plane), read_time_choice(time)
            found |= draw_plate(plate, overview, channel, *look)
        if as_json:
            typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
            return
        for name, value in found.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            if name == "channels":  # a channel may be called 1
                shown = f"{len(value)} ({shown})"
            typer.echo(f"{name}: {shown}")
