"""``hcs splits``: clone-disjoint splits in a file that people can review."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def splits(
    plates: options.Plates,
    out: Annotated[str, typer.Option("--out", help="File to write.")] = "splits.json",
    n_splits: Annotated[int, typer.Option(min=1, help="Number of splits.")] = 55,
    train: Annotated[int, typer.Option(min=1, help="Clones (groups) a class to train on.")] = 10,
    validation: Annotated[int, typer.Option(min=1, help="Clones a class to tune on.")] = 3,
    test: Annotated[int, typer.Option(min=1, help="Clones a class to test on.")] = 2,
    group_by: Annotated[
        str, typer.Option(help="Column of what must stay on one side.")
    ] = "Metadata_Clone",
    label: Annotated[str, typer.Option(help="Column of the class.")] = "Metadata_Diagnosis",
    positive: Annotated[
        str | None,
        typer.Option(
            help="Class whose probability is the score; by default the one not named like a "
            "control."
        ),
    ] = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Draw splits that never share a clone or donor between training, validation and test.

    The file is for review; a split that was edited to share a donor is refused later.

    Example: hcs splits P1.zarr P2.zarr --out splits.json --n-splits 55 --train 10
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import SplitsConfig
        from hcs.stages import splits as stages_splits

        return stages_splits.run(
            SplitsConfig(
                plates=tuple(plates),
                out=out,
                group_by=group_by,
                label=label,
                positive=positive,
                n_splits=n_splits,
                train=train,
                validation=validation,
                test=test,
                seed=seed,
            )
        )

    run_stage(stage, cluster=None, as_json=as_json)
