"""Says what is wrong with a setting, without the insides of what validated it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PREFIX = "Value error, "


def explain_setting(fault: Mapping[str, Any]) -> tuple[str, str | None]:
    """Say one fault of a configuration.

    Parameters
    ----------
    fault
        What pydantic's ``ValidationError.errors()`` holds of it.

    Returns
    -------
    str
        What is wrong, in a sentence.
    str or None
        What stands there, None where it is a section or nothing.

    Examples
    --------
    >>> explain_setting({"type": "extra_forbidden", "msg": "…", "input": "z"})
    ('there is no such setting here', 'z')
    """
    given = fault.get("input")
    value = str(given)[:80] if isinstance(given, (str, int, float)) else None
    context = fault.get("ctx", {})
    match fault["type"]:
        case "union_tag_invalid":
            known = str(context["expected_tags"]).replace("'", "")
            return f"there is no {str(context['tag'])!r}; choose one of {known}", None
        case "union_tag_not_found":
            key = str(context.get("discriminator", "kind")).strip("'")
            return f"it does not say its {key}", value
        case "extra_forbidden":
            return "there is no such setting here", value
        case _:
            return str(fault["msg"]).removeprefix(_PREFIX), value
