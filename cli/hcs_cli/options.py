"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Cluster = Annotated[
    str,
    typer.Option(
        "--cluster",
        help="Where work runs: local, local:N (N workers), inline (this process), gpu, "
        "tcp://… or tls://… (a running scheduler), or a YAML file with a cluster section.",
        show_default=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad image.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Channel = Annotated[
    str | None,
    typer.Option("--channel", help="Channel name; needed when the plate has several."),
]
_WRITTEN = (".parquet", ".csv", ".html", ".json", ".png")


def _refuse_outputs(given: list[str]) -> list[str]:
    """Refuse an output among the plates: it is an option, not the last argument."""
    for path in given:
        if path.lower().endswith(_WRITTEN):
            msg = f"{path} is no plate; name what is to be written with --out"
            raise typer.BadParameter(msg)
    return given


Plates = Annotated[
    list[str], typer.Argument(metavar="PLATE…", help="OME-Zarr plates.", callback=_refuse_outputs)
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        help="imagenet (Keras' own copy or download), random (a stated choice), or a FILE "
        "(.npz, .h5, .weights.h5, .keras).",
    ),
]
Models = Annotated[str, typer.Argument(metavar="MODELS", help="Folder that hcs train wrote.")]
OwnWeights = Annotated[
    str | None,
    typer.Option(
        "--weights", help="Where the base's weights lie now; they must be those of training."
    ),
]
