"""``hcs blind``: anonymous codes and a balanced layout, the way back, and what position tells."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options

blind = typer.Typer(
    help="Blind clones before acquisition, reveal them after, and test what position gives away.",
    no_args_is_help=True,
)
Key = Annotated[
    str,
    typer.Option(
        "--key",
        help="Key file, which its owner alone can read; keep it from all who are to be blind.",
    ),
]
PlateWells = Annotated[
    int, typer.Option(help="Wells of the plate: 6, 12, 24, 48, 96, 384 or 1536.")
]
Sheet = Annotated[
    str | None, typer.Option("--sheet", help="Sheet of a workbook that holds the table.")
]
Permutations = Annotated[
    int, typer.Option("--permutations", help="Random dealings that the position is held against.")
]


@blind.command("layout")
def layout(
    clones: Annotated[
        str,
        typer.Argument(
            metavar="CLONES",
            help="CSV, TSV or XLSX: clone, diagnosis, donor; wells (how many), pert_type "
            "(controls), compound, concentration_um and any other column where wanted.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="Blinded plate map to write.")] = "blinded.csv",
    key: Key = "blind.key.json",
    plate: Annotated[
        list[str] | None,
        typer.Option("--plate", help="Plate name, P01 by default; may be repeated."),
    ] = None,
    plate_wells: PlateWells = 96,
    wells: Annotated[
        int, typer.Option("--wells", help="Wells a clone on each plate, if the table has none.")
    ] = 4,
    skip_edge: Annotated[int, typer.Option(help="Outer rings of wells that stay empty.")] = 0,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="A well that stays empty; may be repeated."),
    ] = None,
    open_controls: Annotated[
        bool, typer.Option("--open-controls", help="Name the controls' pert_type in the map.")
    ] = False,
    sheet: Sheet = None,
    decimal: options.Decimal = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Give clones codes, deal them to wells, write the blinded plate map and the key file.

    Rows, columns and edge are balanced by exchanging wells of a random deal: a heuristic, whose
    result is measured and printed. The same key file, table and seed give the same layout; without
    the key file nobody can make it again, or turn a code back. For more plates of a study give the
    same key file: a clone keeps its code.

    Example: hcs blind layout clones.csv --out blinded.csv --key blind.key.json --plate P01
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.blinding import BlindConfig
        from hcs.stages import blind as stages_blind

        settings = {
            "clones": clones,
            "sheet": sheet,
            "decimal": decimal,
            "out": out,
            "key": key,
            "plates": tuple(plate or ("P01",)),
            "plate_wells": plate_wells,
            "n_wells": wells,
            "skip_edge": skip_edge,
            "exclude": tuple(exclude or ()),
            "open_controls": open_controls,
            "seed": seed,
        }
        return stages_blind.run(BlindConfig.model_validate(settings))

    run_stage(stage, cluster=None, as_json=as_json)


@blind.command("reveal")
def reveal(
    blinded: Annotated[
        str,
        typer.Argument(metavar="BLINDED", help="Plate map, PLATE.zarr, or a parquet table."),
    ],
    key: Key = "blind.key.json",
    out: Annotated[
        str | None,
        typer.Option("--out", help="File to write; a plate's own table is rewritten in place."),
    ] = None,
    sheet: Sheet = None,
    decimal: options.Decimal = None,
    as_json: options.AsJson = False,
) -> None:
    """Put the true clones, donors and diagnoses back; the code stays as Metadata_BlindCode.

    Unknown codes, codes in another well than they were dealt to, and missing wells are all listed
    at once, and nothing is then written.

    Example: hcs blind reveal P01.zarr --key blind.key.json
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.blinding import RevealConfig
        from hcs.stages import blind as stages_blind

        settings = {"blinded": blinded, "key": key, "out": out, "sheet": sheet, "decimal": decimal}
        return stages_blind.reveal(RevealConfig.model_validate(settings))

    run_stage(stage, cluster=None, as_json=as_json)


@blind.command("position")
def position(
    platemap: Annotated[str, typer.Argument(metavar="PLATEMAP", help="Plate map of any study.")],
    label: Annotated[str, typer.Option(help="Column to predict.")] = "diagnosis",
    plate_wells: Annotated[
        int | None, typer.Option(help="Wells of the plate; by default the smallest that fits.")
    ] = None,
    permutations: Permutations = 999,
    sheet: Sheet = None,
    decimal: options.Decimal = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Say how far row, column and edge distance predict the diagnosis in a layout.

    Cross-validated area under the ROC curve, against layouts dealt at random.

    Example: hcs blind position wells.csv --label diagnosis
    """
    from hcs_cli.running import errors_as_exit_codes

    with errors_as_exit_codes():
        from hcs.domain.blinding import PositionConfig
        from hcs.stages import blind as stages_blind

        settings = {
            "platemap": platemap,
            "sheet": sheet,
            "decimal": decimal,
            "label": label,
            "plate_wells": plate_wells,
            "n_permutations": permutations,
            "seed": seed,
        }
        report = stages_blind.predict_from_position(PositionConfig.model_validate(settings))
        if as_json:
            typer.echo(report.model_dump_json(indent=1))
            return
        typer.echo(report.sentence)
        for score in report.scores:
            typer.echo(
                f"  {score.position:<14} AUC {score.auc:.2f}   "
                f"random {score.null_low:.2f} to {score.null_high:.2f}   p = {score.p_value:.2g}"
            )
