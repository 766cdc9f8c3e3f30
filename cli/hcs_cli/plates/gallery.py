"""``hcs gallery``: random fields with what was found drawn over them."""

from __future__ import annotations

from typing import Annotated

import typer

from hcs_cli import options


def gallery(
    plates: options.Plates,
    out: Annotated[str, typer.Option("--out", help="A .png or .html file.")] = "gallery.png",
    channel: options.Channel = None,
    plane: options.Plane = None,
    time: options.Time = None,
    n_fields: Annotated[int, typer.Option("--fields", "-n", min=1, help="How many fields.")] = 12,
    tile_px: Annotated[
        int, typer.Option("--tile-px", min=32, help="Edge of a field; larger ones are cut out.")
    ] = 512,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Draw random fields with the somas and neurites that hcs features found, for a quick look.

    Example: hcs gallery P1.zarr --channel TUJ1 --out gallery.png
    """
    import json

    from hcs_cli.running import errors_as_exit_codes

    with errors_as_exit_codes():
        from hcs.domain.config.planes import read_plane_choice, read_time_choice
        from hcs.report.gallery import write_gallery

        shown = write_gallery(
            plates,
            out,
            channel=channel,
            plane=read_plane_choice(plane),
            time=read_time_choice(time),
            n_fields=n_fields,
            tile_px=tile_px,
            seed=seed,
        )
        if as_json:
            typer.echo(json.dumps({"out": out, "fields": shown}, ensure_ascii=False))
            return
        typer.echo(f"{out}: {len(shown)} fields")
