"""``hcs features``: cells and neurites measured."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def features(
    plates: options.Plates,
    out: Annotated[str, typer.Option("--out", help="Table to write.")] = "features.parquet",
    channel: options.Channel = None,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Write label images into the plates.")
    ] = True,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Measure cell count, soma area and neurite length of every image and every cell.

    Example: hcs features P1.zarr P2.zarr --out features.parquet
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config import FeaturesConfig
        from hcs.stages import features as stages_features

        config = FeaturesConfig(
            plates=tuple(plates), out=out, channel=channel, write_labels=labels, strict=strict
        )
        return stages_features.run(config, client)

    run_stage(stage, cluster=cluster, as_json=as_json)
