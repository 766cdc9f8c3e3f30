"""``hcs simulate``: plates of drawn neurons with a known answer."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def simulate(
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder to write.")],
    preset: Annotated[
        str,
        typer.Option(
            help="demo (clones and a screen plate), cohort (clones), null (clones without "
            "difference "
            "between classes) or screen (screen plates)."
        ),
    ] = "demo",
    seed: options.Seed = 0,
    clones_per_class: Annotated[
        int | None,
        typer.Option(
            min=1, help="Clones a class; this and what follows is by default as the preset has it."
        ),
    ] = None,
    images_per_clone: Annotated[int | None, typer.Option(min=1, help="Images a clone.")] = None,
    batches: Annotated[int | None, typer.Option(min=1, help="Differentiation batches.")] = None,
    phenotype_strength: Annotated[
        float | None, typer.Option(min=0, help="Strength of the disease; 1 is usual, 0 none.")
    ] = None,
    clone_variation: Annotated[
        float | None,
        typer.Option(min=0, max=3, help="How much clones differ within a class; 1 is usual."),
    ] = None,
    batch_variation: Annotated[
        float | None, typer.Option(min=0, max=3, help="How much batches differ; 1 is usual.")
    ] = None,
    image_px: Annotated[int | None, typer.Option(min=32, help="Image side in pixels.")] = None,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Draw plates of neurons as vendor-named 16-bit TIFFs, with plate map and truth.

    The images are simulated: use them to learn the engine and to check it, never as evidence.

    Example: hcs simulate sim --preset cohort --clones-per-class 15 --images-per-clone 24
    """
    from hcs_cli.running import run_stage

    given: dict[str, Any] = {
        "clones_per_class": clones_per_class,
        "images_per_clone": images_per_clone,
        "batches": batches,
        "phenotype_strength": phenotype_strength,
        "clone_variation": clone_variation,
        "batch_variation": batch_variation,
        "image_px": image_px,
    }

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import SimulateConfig
        from hcs.simulate import run as simulation

        chosen = {name: value for name, value in given.items() if value is not None}
        settings: dict[str, Any] = {"out": out, "preset": preset, "seed": seed, **chosen}
        return simulation.run(SimulateConfig.model_validate(settings), client)

    run_stage(stage, cluster=cluster, as_json=as_json)
