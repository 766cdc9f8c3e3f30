"""``hcs stack``, ``hcs embed``, ``hcs train``: from plates to trained heads."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def stack(
    plates: options.Plates,
    out: Annotated[str, typer.Option("--out", help="Stack to write.")] = "stack.zarr",
    channel: options.Channel = None,
    plane: options.Plane = None,
    time: options.OneTime = None,
    image_px: Annotated[int, typer.Option(min=32, help="Side of the resized images.")] = 256,
    median_level: Annotated[float, typer.Option(help="Value that the median becomes.")] = 63.0,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Normalize every image (median to 63, cut at 255) and resize it.

    Example: hcs stack P1.zarr P2.zarr --out stack.zarr
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import StackConfig
        from hcs.stages import stack as stages_stack

        settings = {
            "plates": tuple(plates),
            "out": out,
            "channel": channel,
            "plane": plane,
            "time": time,
            "image_px": image_px,
            "median_level": median_level,
            "strict": strict,
        }
        return stages_stack.run(StackConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)


def embed(
    stack_path: Annotated[str, typer.Argument(metavar="STACK", help="Stack that hcs stack wrote.")],
    out: Annotated[str, typer.Option("--out", help="Feature bank to write.")] = "bank.zarr",
    views: Annotated[
        int, typer.Option(min=0, help="Augmented views of each image, beside the image itself.")
    ] = 8,
    weights: options.Weights = "imagenet",
    backbone: Annotated[
        str,
        typer.Option(help="Network: vgg16, vgg19, resnet50, efficientnetv2-b0, convnext_tiny, …"),
    ] = "vgg16",
    layer: Annotated[
        str | None, typer.Option(help="Layer whose output is taken; the last one by default.")
    ] = None,
    pooling: Annotated[
        str, typer.Option(help="How the layer's map becomes a vector: avg, max or flatten.")
    ] = "avg",
    precision: Annotated[
        str,
        typer.Option(
            help="Of the computation: float32, or on a GPU mixed_float16 or mixed_bfloat16."
        ),
    ] = "float32",
    batch_images: Annotated[
        int, typer.Option(min=1, help="Images at a time through the network.")
    ] = 16,
    seed: options.Seed = 0,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Run the frozen network, VGG-16 by default, once for every image and augmented view.

    Example: hcs embed stack.zarr --out bank.zarr --views 8 --weights imagenet
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import EmbedConfig
        from hcs.stages import embed as stages_embed

        settings: dict[str, Any] = {
            "stack": stack_path,
            "out": out,
            "views": views,
            "backbone": {
                "name": backbone,
                "weights": weights,
                "layer": layer,
                "pooling": pooling,
                "precision": precision,
                "seed": seed,
            },
            "batch_images": batch_images,
            "seed": seed,
        }
        return stages_embed.run(EmbedConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)


def train(
    bank: options.Bank,
    splits_path: options.Splits,
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "models",
    trials: Annotated[
        int, typer.Option(min=0, help="Tuning trials a split; 0 takes fixed settings.")
    ] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 64,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a training step.")] = 32,
    hidden_units: Annotated[int, typer.Option(min=1, help="Units of the dense layer.")] = 256,
    dropout: Annotated[
        float,
        typer.Option(min=0, max=0.99, help="Share of the dense layer's units left out at random."),
    ] = 0.5,
    l2: Annotated[float, typer.Option(min=0, help="L2 penalty of the weights.")] = 1e-4,
    batch_normalization: Annotated[
        bool, typer.Option("--batch-normalization", help="Normalize the dense layer's output.")
    ] = False,
    learning_rate: Annotated[float, typer.Option(help="Learning rate, without trials.")] = 1e-2,
    momentum: Annotated[float, typer.Option(min=0, max=1, help="Momentum, without trials.")] = 0.9,
    seed: options.Seed = 0,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Train one new head for every split, all of them together.

    Features that do not fit in memory are laid out next to OUT (as much room as they take) and
    read from there; they are removed at the end.

    Example: hcs train bank.zarr splits.json --out models --trials 20 --epochs 64
    """
    from hcs_cli.running import run_stage

    optimizer: dict[str, Any] = {
        "kind": "fixed",
        "learning_rate": learning_rate,
        "momentum": momentum,
    }
    if trials:
        optimizer = {"kind": "tuned", "trials": trials}

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import TrainConfig
        from hcs.stages import train as stages_train

        settings: dict[str, Any] = {
            "bank": bank,
            "splits": splits_path,
            "out": out,
            "head": {
                "hidden_units": hidden_units,
                "dropout": dropout,
                "l2": l2,
                "batch_normalization": batch_normalization,
            },
            "optimizer": optimizer,
            "epochs": epochs,
            "batch_size": batch_size,
            "seed": seed,
        }
        return stages_train.run(TrainConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)
