"""``hcs hits``: wells against controls, for image scores and any other values."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from hcs_cli import options

_INPUT, _SCALE, _CALL, _QUALITY = "Input", "Correction and scale", "Calling", "Quality limits"

_KINDS: Final = ("spatial", "normalization", "call", "aggregation")
"""Settings that are a choice of a kind, which may have settings of its own."""


def hits(
    predictions: Annotated[
        str | None, typer.Argument(metavar="PREDICTIONS", help="Table that hcs predict wrote.")
    ] = None,
    out: Annotated[str, typer.Option("--out", help="Table to write.")] = "hits.parquet",
    values: Annotated[
        str | None,
        typer.Option(
            help="In place of predictions: plate-reader values or a table of features (CSV, TSV, "
            "XLSX, parquet; a row a well, or grids), or a cellHTS2 Platelist.txt.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of --values that holds the values; may be repeated.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    platemap: Annotated[
        str | None,
        typer.Option(help="Plate map: what the wells of --values hold.", rich_help_panel=_INPUT),
    ] = None,
    sheet: Annotated[
        str | None,
        typer.Option(
            help="Sheet of a workbook that holds the --values, where several could.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    platemap_sheet: Annotated[
        str | None,
        typer.Option(help="Sheet of a workbook that holds the --platemap.", rich_help_panel=_INPUT),
    ] = None,
    decimal: options.Decimal = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORD=KIND",
            help="What a word in the Plateconf.txt of a cellHTS2 screen means: negcon, poscon, "
            "trt or empty. May be repeated.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(help="Column of cell counts in --values.", rich_help_panel=_INPUT),
    ] = None,
    features_path: Annotated[
        str | None,
        typer.Option(
            "--features",
            help="Table that hcs features wrote: cell counts for predictions (toxicity), "
            "--image-limit.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    settings_path: Annotated[
        str | None,
        typer.Option(
            "--settings",
            help="YAML with a hits section (a study file); options given here come first.",
            rich_help_panel=_INPUT,
        ),
    ] = None,
    time: options.OneTime = None,
    aggregate: Annotated[
        str | None,
        typer.Option(
            help="Images to well: mean, median, trimmed.",
            show_default="mean",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Statistics on score, log-odds, or auto: log-odds for classifier scores.",
            show_default="auto",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    correct: Annotated[
        str | None,
        typer.Option(
            help="Position effects: none, median-polish, median-filter, loess, loess-edge.",
            show_default="none",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            help="Scale of a plate: none, percent-of-control, npi, plate-median, z, "
            "robust-z, b-score.",
            show_default="robust-z",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            help="Controls of the scale: plate or batch.",
            show_default="plate",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    score_over: Annotated[
        str | None,
        typer.Option(
            help="Controls of z, SSMD and p: plate or batch.",
            show_default="plate",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="controls, or samples: the treated wells themselves, for screens without "
            "controls. Never chosen by itself.",
            show_default="controls",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    call: Annotated[
        str | None,
        typer.Option(
            help="What makes a hit: robust-z, ssmd or empirical (p).",
            show_default="robust-z",
            rich_help_panel=_CALL,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least robust z of a hit.", show_default="3.0", rich_help_panel=_CALL),
    ] = None,
    min_ssmd: Annotated[
        float | None,
        typer.Option(help="Least SSMD of a hit; chooses --call ssmd.", rich_help_panel=_CALL),
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option(help="False-discovery rate.", show_default="0.05", rich_help_panel=_CALL),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(
            help="Where a hit lies: auto (toward the positive controls), decrease, increase, both.",
            show_default="auto",
            rich_help_panel=_CALL,
        ),
    ] = None,
    replicates: Annotated[
        str | None,
        typer.Option(
            help="How replicates combine: mean, median, min, max or stouffer.",
            show_default="median",
            rich_help_panel=_CALL,
        ),
    ] = None,
    min_cells: Annotated[
        float | None,
        typer.Option(
            help="A well with fewer cells an image is flagged: no control, no hit.",
            show_default="0.0",
            rich_help_panel=_CALL,
        ),
    ] = None,
    min_images: Annotated[
        int | None,
        typer.Option(
            help="A well with fewer images is flagged likewise.",
            show_default="1",
            rich_help_panel=_CALL,
        ),
    ] = None,
    image_limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW..HIGH",
            help="Limits on a column of the features, one end may be left out: an image beyond "
            "does not count. May be repeated.",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    min_cell_fraction: Annotated[
        float | None,
        typer.Option(
            help="Toxic below this share of the negative controls' cells.",
            show_default="0.5",
            rich_help_panel=_CALL,
        ),
    ] = None,
    min_controls: Annotated[
        int | None,
        typer.Option(
            help="Fewest usable control wells a plate.", show_default="3", rich_help_panel=_QUALITY
        ),
    ] = None,
    min_z_prime: Annotated[
        float | None, typer.Option(help="Least Z'.", rich_help_panel=_QUALITY)
    ] = None,
    min_robust_z_prime: Annotated[
        float | None, typer.Option(help="Least robust Z'.", rich_help_panel=_QUALITY)
    ] = None,
    min_control_ssmd: Annotated[
        float | None,
        typer.Option(help="Least SSMD between the controls.", rich_help_panel=_QUALITY),
    ] = None,
    max_cv: Annotated[
        float | None,
        typer.Option(
            help="Largest coefficient of variation of the negative controls, as a fraction.",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    min_position_p: Annotated[
        float | None,
        typer.Option(
            help="Least p of row, column and edge tests after correction.",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    min_replicate_correlation: Annotated[
        float | None,
        typer.Option(help="Least Spearman correlation with replicates.", rich_help_panel=_QUALITY),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Score wells against on-plate controls, judge the plates, call hits, fit curves.

    Writes the wells to --out and, beside it, plate_quality, batch_quality, position_choices,
    compounds and dose_fits, as parquet and CSV. A study file's hits section chooses the same and
    more; give it with --settings. Limits that are not given are none.

    Example: hcs hits predictions.parquet --correct loess --call ssmd --min-ssmd 3

    Example: hcs hits --values reader.csv --column Luminescence --normalize npi --min-z-prime 0.5
    """
    from hcs_cli.running import run_stage

    given: dict[str, Any] = {
        "time": time,
        "aggregation": aggregate,
        "scale": scale,
        "spatial": correct,
        "normalization": normalize,
        "normalize_over": over,
        "score_over": score_over,
        "reference": reference,
        "call": call,
        "robust_z_threshold": threshold,
        "fdr": fdr,
        "direction": direction,
        "replicates": replicates,
        "min_cells": min_cells,
        "min_images": min_images,
        "min_cell_fraction": min_cell_fraction,
        "min_controls": min_controls,
    }
    limits: dict[str, Any] = {
        "min_z_prime": min_z_prime,
        "min_robust_z_prime": min_robust_z_prime,
        "min_ssmd": min_control_ssmd,
        "max_cv_negcon": max_cv,
        "min_position_p": min_position_p,
        "min_replicate_correlation": min_replicate_correlation,
    }

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import HitsConfig
        from hcs.stages import hits as stages_hits

        settings = _settings(settings_path)
        _put_settings(settings, given)
        _put_settings(settings.setdefault("limits", {}), limits)
        if min_ssmd is not None:
            settings["call"] = {**_keep_kind(settings, "call", "ssmd"), "min_ssmd": min_ssmd}
        if image_limit:
            stated = settings.get("image_limits", {})
            settings["image_limits"] = {**stated, **dict(map(_image_limit, image_limit))}
        settings["out"] = out
        settings["source"] = _source(
            predictions, values, features=features_path, column=column, platemap=platemap,
            cells=cells, sheet=sheet, platemap_sheet=platemap_sheet, decimal=decimal,
            kind=kind,
        )  # fmt: skip
        return stages_hits.run(HitsConfig.model_validate(settings))

    run_stage(stage, cluster=None, as_json=as_json)


def _settings(path: str | None) -> dict[str, Any]:
    """Read the ``hits`` section of a file; no file is no settings."""
    if path is None:
        return {}
    from hcs.errors import InputError
    from hcs_cli.running import read_yaml

    section = read_yaml(path).get("hits", {})
    if not isinstance(section, dict):
        msg = f"the hits section of {path} holds {section!r}; a mapping of settings was expected"
        raise InputError(msg)
    return dict(section)


def _put_settings(settings: dict[str, Any], given: dict[str, Any]) -> None:
    """Put what was given in place of what the file says; a kind keeps its own settings."""
    for name, value in given.items():
        if value is not None:
            settings[name] = _keep_kind(settings, name, value) if name in _KINDS else value


def _keep_kind(settings: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    before = settings.get(name, {})
    return before if before.get("kind") == kind else {"kind": kind}


def _image_limit(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """Read ``NAME=LOW..HIGH``.

    Raises
    ------
    BadParameter
        When it is written otherwise.
    """
    name, _, ends = text.partition("=")
    low, dots, high = ends.partition("..")
    try:
        limits = tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        limits = ()
    if not name or not dots or limits in {(), (None, None)}:
        msg = f"--image-limit {text!r}: write NAME=LOW..HIGH, for example Image_Quality_Focus=2.."
        raise typer.BadParameter(msg)
    return name.strip(), (limits[0], limits[1])


def _source(predictions: str | None, values: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Say where the wells come from; exactly one source, and only its own options.

    Raises
    ------
    BadParameter
        When there is none, there are both, or an option belongs to the other one.
    """
    if (predictions is None) == (values is None):
        msg = "give either PREDICTIONS or --values"
        raise typer.BadParameter(msg)
    own = ("column", "platemap", "cells", "sheet", "platemap_sheet", "decimal", "kind")
    of_values = {name: more[name] for name in own if more[name]}
    if values is None:
        if of_values:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in of_values)
            msg = f"{names}: only together with --values"
            raise typer.BadParameter(msg)
        return {"kind": "predictions", "path": predictions, "features": more["features"]}
    if more["features"]:
        msg = "--features: only for predictions; name the counts of a table of values with --cells"
        raise typer.BadParameter(msg)
    found: dict[str, Any] = {
        "kind": "values",
        "path": values,
        "columns": tuple(of_values.pop("column", ())),
    }
    if words := of_values.pop("kind", None):
        found["kinds"] = dict(map(_kind_of_word, words))
    return found | of_values


def _kind_of_word(text: str) -> tuple[str, str]:
    """Read ``WORD=KIND``, or refuse it."""
    word, _, kind = (part.strip() for part in text.rpartition("="))
    if not word or kind not in {"negcon", "poscon", "trt", "empty"}:
        msg = f"--kind {text!r}: write WORD=KIND with negcon, poscon, trt or empty, as geneA=negcon"
        raise typer.BadParameter(msg)
    return word, kind
