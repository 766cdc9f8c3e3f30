"""``hcs run`` and ``hcs demo``: a whole study in one command."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def with_report(result: Any) -> Any:  # noqa: ANN401
    """Write the report of a study that has just run, and name it in the result."""
    from hcs.domain.config.stages import ReportConfig
    from hcs.report import write_report

    page = f"{result.out}/report.html"
    write_report(ReportConfig(study=result.out, out=page))
    return result.model_copy(update={"summary": {**result.summary, "report": page}})


def run(
    study: Annotated[str, typer.Argument(metavar="STUDY.yaml", help="Study file.")],
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", help=f"{options.CLUSTERS} By default as the study file says."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", help="imagenet, random or a FILE. By default as the study file says."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Run all stages of a study in order; what is already done is skipped.

    Plates are ingested and measured, a network's heads and a forest trained and judged on the same
    splits, screen plates scored and hits called; report.html lies in the study's folder at the end.
    The README shows a study file.

    Example: hcs run study.yaml
    """
    from hcs_cli.running import errors_as_exit_codes, parse_cluster, run_stage

    with errors_as_exit_codes():
        from hcs.stages.study import run as stages_study

        config = stages_study.read_study(study)
        if weights is not None:
            config = stages_study.with_weights(config, weights)
        chosen = parse_cluster(cluster) if cluster else config.cluster

        def stage(client: Any) -> Any:  # noqa: ANN401
            return with_report(stages_study.run(config, client))

        run_stage(stage, cluster=chosen, as_json=as_json)


def demo(
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "demo",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="imagenet, random or a FILE. By default ImageNet weights where Keras has or can "
            "fetch them, else random ones; the demo says which.",
        ),
    ] = None,
    seed: options.Seed = 0,
    cluster: options.Cluster = "local",
    as_json: options.AsJson = False,
) -> None:
    """Simulate a small study and run all of it: what was planted against what was found.

    Example: hcs demo --out demo
    """
    from hcs_cli.running import run_stage

    def stage(client: Any) -> Any:  # noqa: ANN401
        from hcs.stages.study import demo as stages_demo

        return with_report(stages_demo.run(out, weights=weights, seed=seed, client=client))

    run_stage(stage, cluster=cluster, as_json=as_json)
