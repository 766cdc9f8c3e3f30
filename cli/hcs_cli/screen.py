"""``hcs predict``, ``hcs explain``, ``hcs export``: trained heads at work."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options

Models = Annotated[str, typer.Argument(metavar="MODELS", help="Folder that hcs train wrote.")]
OwnWeights = Annotated[
    str | None,
    typer.Option(
        "--weights", help="Where the base's weights lie now; they must be those of training."
    ),
]


def predict(
    models: Models,
    plates: options.Plates,
    out: Annotated[str, typer.Option("--out", help="Table to write.")] = "predictions.parquet",
    weights: OwnWeights = None,
    batch_images: Annotated[int, typer.Option(min=1, help="Images a forward pass.")] = 16,
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

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import PredictConfig, ScoreConfig
        from hcs.stages import predict as stages_predict

        if len(plates) == 1 and plates[0].endswith(".parquet"):
            scored = ScoreConfig(models=models, features=plates[0], out=out)
            return stages_predict.run_forests(scored, client)

        config = PredictConfig(
            models=models,
            plates=tuple(plates),
            out=out,
            weights=weights,
            batch_images=batch_images,
            strict=strict,
        )
        return stages_predict.run(config, client)

    run_stage(stage, cluster=cluster, as_json=as_json)


def explain(
    models: Models,
    plate: Annotated[str, typer.Argument(metavar="PLATE", help="OME-Zarr plate.")],
    well: Annotated[str, typer.Option(help="Well, for example A01.")],
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "explain",
    layer: Annotated[str, typer.Option(help="Layer of the base to look at.")] = "block3_conv3",
    split: Annotated[int, typer.Option(min=0, help="Split whose head explains.")] = 0,
    weights: OwnWeights = None,
    as_json: options.AsJson = False,
) -> None:
    """Show where a head looks: Grad-CAM and guided Grad-CAM of one well.

    Example: hcs explain models P1.zarr --well A01 --out explain
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import ExplainConfig
        from hcs.stages import explain as stages_explain

        return stages_explain.run(
            ExplainConfig(
                models=models,
                plate=plate,
                well=well,
                out=out,
                layer=layer,
                split=split,
                weights=weights,
            )
        )

    run_stage(stage, cluster=None, as_json=as_json)


def export(
    models: Models,
    out: Annotated[str, typer.Option("--out", help="File to write, NAME.keras.")] = "head.keras",
    split: Annotated[int, typer.Option(min=0, help="Split whose head is exported.")] = 0,
    weights: OwnWeights = None,
    as_json: options.AsJson = False,
) -> None:
    """Write one head with its base as an ordinary Keras model.

    Example: hcs export models --split 3 --out head.keras
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import ExportConfig
        from hcs.stages import export as stages_export

        return stages_export.run(ExportConfig(models=models, out=out, split=split, weights=weights))

    run_stage(stage, cluster=None, as_json=as_json)
