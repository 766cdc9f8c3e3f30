"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Final

import typer

CLUSTERS: Final = (
    "Where work runs: local, local:N (N workers), inline (this process), gpu, "
    "tcp://… or tls://… (a running scheduler), or a YAML file with a cluster section."
)
Cluster = Annotated[str, typer.Option("--cluster", help=CLUSTERS, show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Stop at the first bad image; else it is listed and left out."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Channel = Annotated[
    str | None,
    typer.Option("--channel", help="Channel name; needed when the plate has several."),
]
Sheet = Annotated[
    str | None,
    typer.Option("--sheet", help="Sheet of a workbook that holds the plate map."),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        "--decimal",
        metavar="point|comma",
        help="Decimal sign of the tables, where a column could be read either way.",
    ),
]
Plane = Annotated[
    str | None,
    typer.Option(
        "--plane",
        help="Of a z-stack: max, mean, focus (the sharpest), z:INDEX from 0, or z:HEIGHTum; needed "
        "when the plate has several planes.",
    ),
]
_TIMES = "first, last, an INDEX from 0, or MINUTESmin"
_NEEDED = "needed when there are several time points."
OneTime = Annotated[
    str | None, typer.Option("--time", help=f"Of a time-lapse: {_TIMES}; {_NEEDED}")
]
Time = Annotated[
    str | None, typer.Option("--time", help=f"Of a time-lapse: all, {_TIMES}; {_NEEDED}")
]
TrainedPlane = Annotated[
    str | None,
    typer.Option("--plane", help="Of a z-stack, as for hcs stack; by default that of training."),
]
TrainedTime = Annotated[
    str | None,
    typer.Option("--time", help=f"Of a time-lapse: all, {_TIMES}; by default that of training."),
]
_WRITTEN = (".parquet", ".csv", ".html", ".json", ".png")


def refuse_outputs(given: list[str]) -> list[str]:
    """Refuse an output among the plates: it is an option, not the last argument."""
    for path in given:
        if path.lower().endswith(_WRITTEN):
            msg = f"{path} is no plate; name what is to be written with --out"
            raise typer.BadParameter(msg)
    return given


Plates = Annotated[
    list[str], typer.Argument(metavar="PLATE…", help="OME-Zarr plates.", callback=refuse_outputs)
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        help="The network's: imagenet (Keras' own copy or download), random (to try things "
        "out), or a FILE "
        "(.npz, .h5, .weights.h5, .keras).",
    ),
]
Models = Annotated[str, typer.Argument(metavar="MODELS", help="Folder that hcs train wrote.")]
Bank = Annotated[
    str, typer.Argument(metavar="BANK", help="Feature bank that hcs embed wrote, as bank.zarr.")
]
Splits = Annotated[
    str, typer.Argument(metavar="SPLITS", help="File that hcs splits wrote, as splits.json.")
]
OwnWeights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="Where the network's weights lie now, if elsewhere; they must be those of training.",
    ),
]
