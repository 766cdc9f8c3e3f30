"""``hcs doctor`` and ``hcs schema``: this machine, and the schemas of our files."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from hcs_cli import options

schema = typer.Typer(
    help="JSON Schemas of every file that people write or exchange, for editors and checks.",
    no_args_is_help=True,
)


def doctor(as_json: options.AsJson = False) -> None:
    """Check this machine: Python, TensorFlow and its devices, Dask, memory, weights.

    Example: hcs doctor
    """
    from hcs_cli.running import DONE, FAILED, errors_as_exit_codes

    with errors_as_exit_codes():
        from hcs.stages.study import doctor as stages_doctor

        checks = stages_doctor.examine()
        if as_json:
            typer.echo(json.dumps([check.model_dump() for check in checks], ensure_ascii=False))
        else:
            for check in checks:
                mark = {"ok": "✓", "note": "•", "fault": "✗"}[check.state]
                typer.echo(f"{mark} {check.name}: {check.found}")
                if check.remedy:
                    typer.echo(f"    {check.remedy}")
        raise typer.Exit(FAILED if any(check.state == "fault" for check in checks) else DONE)


@schema.command("write")
def schema_write(
    out: Annotated[str, typer.Option("--out", help="Folder to write.")] = "schemas",
) -> None:
    """Write a JSON Schema for each file format: study files, splits, evaluations and others.

    Example: hcs schema write
    """
    from pathlib import Path

    from hcs_cli.running import errors_as_exit_codes

    with errors_as_exit_codes():
        from hcs.domain.schemas import documents

        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in documents().items():
            (folder / name).write_text(text, encoding="utf-8")
            typer.echo(f"{folder / name}")
