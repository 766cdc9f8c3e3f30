"""``hcs probe``: what the scores of a study can and cannot mean."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def probe(
    bank: options.Bank,
    splits_path: options.Splits,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models", help="Folder that hcs train or hcs forest wrote; may be repeated."
        ),
    ] = None,
    features_path: Annotated[
        str | None,
        typer.Option("--features", help="Table that hcs features wrote, for raw intensities."),
    ] = None,
    plates: Annotated[
        list[str] | None,
        typer.Option("--plate", help="Plate, for raw intensities and covariates; may be repeated."),
    ] = None,
    out: Annotated[str, typer.Option("--out", help="File to write.")] = "probes.json",
    n_permutations: Annotated[
        int, typer.Option("--permutations", min=1, help="Shuffles of the labels between clones.")
    ] = 200,
    n_splits: Annotated[
        int, typer.Option("--n-splits", min=1, help="Splits on which each shuffle is trained.")
    ] = 8,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Passes over the training images; by default enough for 600 steps."
        ),
    ] = None,
    hidden_units: Annotated[int, typer.Option(min=1, help="Units of the dense layer.")] = 256,
    seed: options.Seed = 0,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Ask what else the scores could mean: shuffled labels, plate and batch, intensity alone.

    Example: hcs probe bank.zarr splits.json --models models --models forest --plate P1.zarr
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import Head, ProbeConfig
        from hcs.stages import probe as stages_probe

        config = ProbeConfig(
            bank=bank,
            splits=splits_path,
            models=tuple(models or ()),
            features=features_path,
            plates=tuple(plates or ()),
            out=out,
            head=Head(hidden_units=hidden_units),
            n_permutations=n_permutations,
            n_splits=n_splits,
            epochs=epochs,
            seed=seed,
        )
        return stages_probe.run(config, client)

    run_stage(stage, cluster=cluster, as_json=as_json)
