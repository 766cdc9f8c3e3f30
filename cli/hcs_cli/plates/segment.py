"""``hcs segment``: a pixel classifier of one's own, trained and run over plates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hcs_cli import options

segment = typer.Typer(
    help="Train a pixel classifier from a few strokes or label images, and segment plates with it.",
    no_args_is_help=True,
)
Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", help="Channel to look at; may be repeated."),
]


@segment.command("train")
def train(
    plates: options.Plates,
    annotations: Annotated[
        str,
        typer.Option(
            "--annotations",
            metavar="strokes=|objects=NAME|FOLDER",
            help="strokes=: few pixels painted, 0 unlabeled, 1 background, 2 object, 3 edge "
            "(may be absent); objects=: label images with every object drawn. As label images NAME "
            "in the plates, or a FOLDER of masks. Fields without them are passed over.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "segmenter",
    diameter_px: Annotated[
        float | None,
        typer.Option("--diameter-px", help="Usual diameter of the objects; needed for strokes."),
    ] = None,
    channel: Channels = None,
    plane: options.Plane = None,
    time: options.Time = None,
    sigma_max_px: Annotated[
        float, typer.Option("--sigma-max-px", help="Largest scale of the filters.")
    ] = 16.0,
    normalize: Annotated[
        str,
        typer.Option(
            "--normalize",
            help="Brightness compared over the plate, or within each image (of plates whose "
            "exposure changes from field to field).",
        ),
    ] = "plate",
    trees: Annotated[int, typer.Option("--trees", help="Trees of the forest.")] = 60,
    seed: options.Seed = 0,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Train a pixel classifier; docs/segmentation.md shows how.

    Example: hcs segment train P1.zarr --annotations strokes=strokes/ --diameter-px 20
    """
    from hcs_cli.running import run_stage

    kind, source = _annotations(annotations)
    if kind == "strokes" and diameter_px is None:
        msg = "strokes do not tell how large objects are: give --diameter-px"
        raise typer.BadParameter(msg)

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.segmenting import SegmentTrainConfig
        from hcs.stages.segment import train as stages_train

        given = {"kind": kind, "source": source}
        config = SegmentTrainConfig.model_validate(
            {
                "plates": tuple(plates),
                "annotations": given | ({"diameter_px": diameter_px} if kind == "strokes" else {}),
                "out": out,
                "channels": tuple(channel or ()),
                "plane": plane,
                "time": time,
                "pixels": {
                    "sigma_max_px": sigma_max_px,
                    "normalize": normalize,
                    "n_trees": trees,
                },
                "seed": seed,
                "strict": strict,
            }
        )
        return stages_train.run(config, client)

    run_stage(stage, cluster=cluster, as_json=as_json)


@segment.command("apply")
def apply(
    model: Annotated[
        str, typer.Argument(metavar="SEGMENTER", help="Folder that hcs segment train wrote.")
    ],
    plates: options.Plates,
    out: Annotated[
        str, typer.Option("--out", help="Table to write, one row an image.")
    ] = "segmented.parquet",
    name: Annotated[
        str, typer.Option("--name", help="Label image to write into the plates.")
    ] = "objects",
    channel: Channels = None,
    plane: options.Plane = None,
    time: options.Time = None,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Segment plates with a pixel classifier; measure them with hcs features --labels NAME.

    Example: hcs segment apply segmenter P1.zarr P2.zarr --name bodies
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.segmenting import SegmentConfig
        from hcs.stages.segment import apply as stages_apply

        config = SegmentConfig.model_validate(
            {
                "model": model,
                "plates": tuple(plates),
                "out": out,
                "name": name,
                "channels": tuple(channel or ()),
                "plane": plane,
                "time": time,
                "strict": strict,
            }
        )
        return stages_apply.run(config, client)

    run_stage(stage, cluster=cluster, as_json=as_json)


def _annotations(text: str) -> tuple[str, dict[str, str]]:
    """``strokes=NAME`` or ``objects=FOLDER`` as a section of the settings."""
    kind, sign, name = text.partition("=")
    if not sign or kind not in {"strokes", "objects"} or not name:
        msg = f"{text}: say what the annotations are: strokes=NAME|FOLDER or objects=NAME|FOLDER"
        raise typer.BadParameter(msg)
    return kind, name_source(name)


def name_source(name: str) -> dict[str, str]:
    """Read a name of label images, or a folder of masks."""
    if "/" in name or "\\" in name or Path(name).is_dir():
        return {"kind": "folder", "path": name}
    return {"kind": "plate", "name": name}
