"""The set of tuned constants as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator

from hcs.domain.tuning.base import Tuned
from hcs.domain.tuning.sets import DEFAULTS


def as_markdown() -> str:
    """Return the page ``docs/tuning.md``."""
    head = (
        "# Constants of the kernels\n\n"
        "Written from `hcs/domain/tuning/` by `make schemas`. Every number of the measurement that"
        " was fitted or chosen\nstands here with its default and where that comes from; the unit"
        " ends the name. Other values go into a study\nfile, or into a YAML file for"
        " `hcs features --tuning FILE`:\n\n"
        "```yaml\nsomas:\n  min_area_fraction: 0.4\nneurites:\n  ridges: {low_fraction: 0.5}\n"
        "```\n\n"
        "In a study file the same lies under `morphology: tuning:`. What was used is stored"
        " with the results and\nprinted by `--json`; a changed constant measures everything"
        " again.\n"
    )
    return head + "".join(_sections(DEFAULTS, ""))


def _sections(group: Tuned, path: str) -> Iterator[str]:
    plain, nested = [], []
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, Tuned):
            nested.append((value, f"{path}.{name}" if path else name))
        else:
            about = " ".join((field.description or "").split())
            plain.append(f"| `{name}` | {_show(value)} | {about} |\n")
    if plain:
        about = " ".join((type(group).__doc__ or "").split())
        yield f"\n## {path}\n\n{_plain(about)}\n\n"
        yield "| constant | default | what it is |\n|---|---|---|\n"
        yield "".join(_plain(row) for row in plain)
    for value, at in nested:
        yield from _sections(value, at)


def _plain(text: str) -> str:
    """Roles of Sphinx and double backticks as Markdown has them."""
    return text.replace(":mod:`", "`").replace(":func:`", "`").replace("``", "`")


def _show(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
