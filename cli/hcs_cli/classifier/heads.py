"""``hcs explain``, ``hcs export``: one trained head, looked into or handed on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def explain(
    models: options.Models,
    plate: Annotated[str, typer.Argument(metavar="PLATE", help="OME-Zarr plate.")],
    well: Annotated[str, typer.Option(help="Well, for example A01.")],
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "explain",
    plane: options.TrainedPlane = None,
    time: options.TrainedTime = None,
    layer: Annotated[str, typer.Option(help="Layer of the network to look at.")] = "block3_conv3",
    split: Annotated[int, typer.Option(min=0, help="Split whose head explains.")] = 0,
    weights: options.OwnWeights = None,
    as_json: options.AsJson = False,
) -> None:
    """Show where a head looks: Grad-CAM and guided Grad-CAM of one well.

    Example: hcs explain models P1.zarr --well A01 --out explain
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import ExplainConfig
        from hcs.stages import explain as stages_explain

        settings = {
            "models": models,
            "plate": plate,
            "well": well,
            "out": out,
            "plane": plane,
            "time": time,
            "layer": layer,
            "split": split,
            "weights": weights,
        }
        return stages_explain.run(ExplainConfig.model_validate(settings))

    run_stage(stage, cluster=None, as_json=as_json)


def export(
    models: options.Models,
    out: Annotated[str, typer.Option("--out", help="File to write, NAME.keras.")] = "head.keras",
    split: Annotated[int, typer.Option(min=0, help="Split whose head is exported.")] = 0,
    weights: options.OwnWeights = None,
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
