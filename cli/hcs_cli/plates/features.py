"""``hcs features``: cells and neurites measured."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import typer

from hcs_cli import options
from hcs_cli.plates.segment import name_source


def features(
    plates: options.Plates,
    out: Annotated[str, typer.Option("--out", help="Table to write.")] = "features.parquet",
    channel: options.Channel = None,
    plane: options.Plane = None,
    time: options.Time = None,
    assay: Annotated[
        str,
        typer.Option(
            "--assay",
            help="What the objects are: neurons (with neurites), cells (bodies in --channel around "
            "--nuclei, rings around these without --channel, or bodies alone without --nuclei) or "
            "nuclei.",
        ),
    ] = "neurons",
    feature_set: Annotated[
        str,
        typer.Option(
            "--set", help="What to measure: classic (count, soma area, neurite length) or full."
        ),
    ] = "full",
    nuclei: Annotated[
        str | None,
        typer.Option("--nuclei", help="Nuclear channel, whose nuclei seed the somas or cells."),
    ] = None,
    marker: Annotated[
        list[str] | None,
        typer.Option(
            "--marker",
            metavar="NAME=CHANNEL[@PART][:RULE]",
            help="Share of cells positive in a channel; may be repeated. RULE is noise:5 (the mean "
            "is above so many spreads of the background, the default), otsu (above the level that "
            "parts all cells of the plate in two groups) or fixed:300 (counts above background). "
            "PART is nucleus, cell or cytoplasm.",
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            help="Channels, with commas between, or all: brightness and texture of nucleus, cell "
            "and cytoplasm in them, named as in CellProfiler.",
        ),
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(
            "--contrast",
            help="Neurons on their ground: bright, dark, or mixed (phase contrast, holography).",
        ),
    ] = None,
    ring_um: Annotated[
        float | None,
        typer.Option(
            "--ring-um",
            help="Ring around a nucleus that stands for its cell, in µm; by default 0.3 diameters.",
        ),
    ] = None,
    ring_px: Annotated[float | None, typer.Option("--ring-px", help="The same in pixels.")] = None,
    soma_um: Annotated[
        float | None, typer.Option("--soma-um", help="Soma diameter in µm; by default estimated.")
    ] = None,
    soma_px: Annotated[float | None, typer.Option("--soma-px", help="The same in pixels.")] = None,
    neurite_um: Annotated[
        float | None,
        typer.Option("--neurite-um", help="Neurite width in µm; by default estimated."),
    ] = None,
    neurite_px: Annotated[
        float | None, typer.Option("--neurite-px", help="The same in pixels.")
    ] = None,
    nucleus_um: Annotated[
        float | None,
        typer.Option("--nucleus-um", help="Nucleus diameter in µm; by default estimated."),
    ] = None,
    nucleus_px: Annotated[
        float | None, typer.Option("--nucleus-px", help="The same in pixels.")
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            "--scales",
            metavar="FILE",
            help="Sizes that an earlier run found: the ..._scales.json beside its table.",
        ),
    ] = None,
    trial: Annotated[
        int | None,
        typer.Option(
            "--try",
            metavar="WELLS",
            help="Only draw fields of a few wells at the found size and at two others, into"
            " ..._try.png beside the table, and print the flags to pass.",
        ),
    ] = None,
    illumination: Annotated[
        str,
        typer.Option(
            "--illumination", help="Uneven light: auto (corrected where that helps) or none."
        ),
    ] = "auto",
    tuning: Annotated[
        str | None,
        typer.Option(
            "--tuning",
            help="YAML file with other constants for the kernels; docs/tuning.md lists all.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            metavar="[cells=|nuclei=]NAME|FOLDER",
            help="Objects that another program segmented, measured in place of our own: the NAME "
            "of label images in the plates, or a FOLDER of mask images (docs/segmentation.md); "
            "once for cells and once for nuclei.",
        ),
    ] = None,
    blank_labels: Annotated[
        str,
        typer.Option(
            "--blank-labels",
            help="A label without any file of pixels: refuse (list the field as a problem), or "
            "empty (a field without objects).",
        ),
    ] = "refuse",
    write_labels: Annotated[
        bool,
        typer.Option(
            "--write-labels/--no-write-labels",
            help="Write somas, nuclei and neurites into the plates as label images.",
        ),
    ] = True,
    strict: options.Strict = False,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Measure cells and neurites of every image and every cell; docs/features.md defines each.

    Example: hcs features P1.zarr --channel TUJ1 --nuclei DAPI --marker Casp3=Cy5

    Example: hcs features P1.zarr --assay cells --nuclei DAPI --measure all --marker PH3=Cy5:otsu
    """
    from hcs_cli.running import read_yaml, run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import FeaturesConfig
        from hcs.stages import features as stages_features

        options_of_one_assay = {"contrast": contrast, "ring_um": ring_um, "ring_px": ring_px}
        only_given = {k: v for k, v in options_of_one_assay.items() if v is not None}
        config = FeaturesConfig.model_validate(
            {
                "plates": tuple(plates),
                "out": out,
                "channel": channel,
                "plane": plane,
                "time": time,
                "scales": scales,
                "write_labels": write_labels,
                "strict": strict,
                "morphology": {
                    "assay": {"kind": assay, "feature_set": feature_set} | only_given,
                    "sizes": {
                        "soma_diameter_um": soma_um,
                        "soma_diameter_px": soma_px,
                        "neurite_width_um": neurite_um,
                        "neurite_width_px": neurite_px,
                        "nucleus_diameter_um": nucleus_um,
                        "nucleus_diameter_px": nucleus_px,
                    },
                    "nuclei": nuclei,
                    "markers": [read_marker(text) for text in marker or []],
                    "measured": _channels(measure),
                    "illumination": illumination,
                    "tuning": read_yaml(tuning) if tuning else {},
                    "labels": given_labels(labels or [], assay) | {"blank": blank_labels},
                },
            }
        )
        if trial is not None:
            from hcs.stages.work.measuring.trying import try_sizes

            return try_sizes(config, trial)
        return stages_features.run(config, client)

    run_stage(stage, cluster=cluster, as_json=as_json)


def given_labels(texts: list[str], assay: str) -> dict[str, Any]:
    """``cells=NAME`` or ``nuclei=FOLDER`` as a section of the settings.

    Without a word before it, it is of what the assay counts.
    """
    found: dict[str, Any] = {}
    for text in texts:
        kind, sign, name = text.partition("=")
        if not sign or kind not in {"cells", "nuclei"}:
            kind, name = ("nuclei" if assay == "nuclei" else "cells"), text
        if kind in found:
            msg = f"--labels is given twice for {kind}: {text}"
            raise typer.BadParameter(msg)
        found[kind] = name_source(name)
    return found


def _channels(text: str | None) -> str | list[str]:
    """``A,B`` as names of channels; ``all`` stays a word."""
    if text == "all":
        return text
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def read_marker(text: str) -> dict[str, Any]:
    """``NAME=CHANNEL@PART:RULE`` as a section of the settings; a name alone is its channel too.

    The rule is ``otsu``, ``noise``, ``noise:5`` or ``fixed:300``; names of channels may hold
    colons.
    """
    found = _MARKER.fullmatch(text)
    if found is None:  # not even a name
        msg = f"--marker {text!r}: write NAME=CHANNEL, such as PH3=Cy5:otsu"
        raise typer.BadParameter(msg)
    name, channel, part, rule, number = found.groups()
    section: dict[str, Any] = {"name": name, "channel": channel or name, "compartment": part}
    if rule is None:
        return section
    if (rule == "otsu" and number) or (rule == "fixed" and not number):
        msg = f"--marker {text!r}: a rule is otsu, noise:MULTIPLE or fixed:COUNTS"
        raise typer.BadParameter(msg)
    threshold: dict[str, Any] = {"kind": rule}
    if number:
        threshold["multiple" if rule == "noise" else "level_counts"] = float(number)
    return section | {"threshold": threshold}


_MARKER: Final = re.compile(
    r"([^=:@]+)(?:=(.+?))?(?:@(nucleus|cell|cytoplasm))?(?::(otsu|noise|fixed)(?::(\d+(?:\.\d*)?|\.\d+))?)?"
)
