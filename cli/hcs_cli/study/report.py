"""``hcs report``: the page of a study."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hcs_cli import options


def report(
    study: Annotated[
        str,
        typer.Argument(
            metavar="STUDY",
            help="Folder that hcs run wrote, or one with outputs of single commands.",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("--out", help="Page to write; by default STUDY/report.html.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write one self-contained page of a study, and beside it a page for every screened plate.

    What the study lacks is named where it would stand.

    Example: hcs report study --out report.html
    """
    from hcs_cli.running import run_stage

    def stage(_client: Any) -> Any:  # noqa: ANN401
        from hcs.domain.config.stages import ReportConfig
        from hcs.report import write_report

        return write_report(ReportConfig(study=study, out=out or f"{study}/report.html"))

    run_stage(stage, cluster=None, as_json=as_json)
