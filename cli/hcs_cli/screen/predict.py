"""``hcs predict``: scores of new images by trained heads or forests."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def _refuse_outputs(given: list[str]) -> list[str]:
    """Refuse an output among the plates; a table that stands alone is one of features."""
    return given if len(given) == 1 else options.refuse_outputs(given)


def predict(
    models: Annotated[
        str, typer.Argument(metavar="MODELS", help="Folder that hcs train or hcs forest wrote.")
    ],
    plates: Annotated[
        list[str],
        typer.Argument(
            metavar="PLATE…",
            help="OME-Zarr plates; for forests a table of features.",
            callback=_refuse_outputs,
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="Table to write.")] = "predictions.parquet",
    channel: options.Channel = None,
    plane: options.TrainedPlane = None,
    time: options.TrainedTime = None,
    weights: options.OwnWeights = None,
    batch_images: Annotated[
        int, typer.Option(min=1, help="Images at a time through the network.")
    ] = 16,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Score every image of new plates with the heads of all splits.

    Forests score the rows of a features table instead of plates.

    Example: hcs predict models screen.zarr --out predictions.parquet

    Example: hcs predict forest screen-features.parquet --out predictions.parquet
    """
    from hcs_cli.running import run_stage

    is_table = len(plates) == 1 and plates[0].endswith(".parquet")
    if is_table and (plane or time):
        msg = (
            f"--plane and --time are of plates: {plates[0]} is scored at every time point that it "
            "holds, on the planes that it was measured on"
        )
        raise typer.BadParameter(msg)

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import PredictConfig, ScoreConfig
        from hcs.stages import predict as stages_predict

        if is_table:
            scored = ScoreConfig(models=models, features=plates[0], out=out)
            return stages_predict.run_forests(scored, client)
        settings = {
            "models": models,
            "plates": tuple(plates),
            "out": out,
            "channel": channel,
            "plane": plane,
            "time": time,
            "weights": weights,
            "batch_images": batch_images,
            "strict": strict,
        }
        return stages_predict.run(PredictConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)
