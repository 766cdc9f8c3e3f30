"""Which plane of a z-stack and which time point is meant: chosen, never assumed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, NonNegativeInt, TypeAdapter

from hcs.domain.plate import Frozen


class _Choice(Frozen):
    """A choice with a short form, in which it is said and shown."""

    kind: str

    def __str__(self) -> str:
        """Return the short form."""
        return self.kind


class MaximumOfPlanes(_Choice):
    """The largest value of every pixel over the acquired planes."""

    kind: Literal["max"] = "max"


class MeanOfPlanes(_Choice):
    """The mean of every pixel over the acquired planes."""

    kind: Literal["mean"] = "mean"


class FocusedPlane(_Choice):
    """The sharpest acquired plane of each image and channel."""

    kind: Literal["focus"] = "focus"


class PlaneIndex(_Choice):
    """One plane by its place in the stack; the first is 0."""

    kind: Literal["z"] = "z"
    index: NonNegativeInt

    def __str__(self) -> str:
        """Return the short form."""
        return f"z:{self.index}"


class PlaneHeight(_Choice):
    """One plane by its height in µm, where the plate states heights."""

    kind: Literal["height"] = "height"
    height_um: float

    def __str__(self) -> str:
        """Return the short form."""
        return f"z:{self.height_um:g}um"


class FirstTime(_Choice):
    """The first time point of a plate."""

    kind: Literal["first"] = "first"


class LastTime(_Choice):
    """The last time point of a plate."""

    kind: Literal["last"] = "last"


class AllTimes(_Choice):
    """Every time point, each for itself."""

    kind: Literal["all"] = "all"


class TimeIndex(_Choice):
    """One time point by its place in the time-lapse; the first is 0."""

    kind: Literal["t"] = "t"
    index: NonNegativeInt

    def __str__(self) -> str:
        """Return the short form."""
        return str(self.index)


class TimeMinutes(_Choice):
    """One time point by its minutes, where the plate states them."""

    kind: Literal["minutes"] = "minutes"
    minutes: float

    def __str__(self) -> str:
        """Return the short form."""
        return f"{self.minutes:g}min"


PLANE_WORDS: Final = "max, mean, focus, z:INDEX (as z:2) or z:HEIGHTum (as z:4.5um)"
TIME_WORDS: Final = "first, last, an INDEX (as 3) or MINUTESmin (as 30min)"

_NUMBER: Final = r"[+-]?\d+(?:\.\d+)?"
_HEIGHT: Final = re.compile(rf"z:({_NUMBER})\s*[uµμ]m")
_MINUTES: Final = re.compile(rf"({_NUMBER})\s*(min|h)")
_PLANES: Final = {"max", "mean", "focus"}
_TIMES: Final = {"first", "last", "all"}


def parse_plane(value: Any) -> Any:  # noqa: ANN401 (what a file or a command line holds)
    """Turn the short form of a plane, as ``max`` or ``z:2``, into a section of the settings.

    A number alone is an index.

    Raises
    ------
    ValueError
        When it is text that names no plane.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return {"kind": "z", "index": value}
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text in _PLANES:
        return {"kind": text}
    if re.fullmatch(r"(z:)?\d+", text):
        return {"kind": "z", "index": int(text.removeprefix("z:"))}
    if found := _HEIGHT.fullmatch(text):
        return {"kind": "height", "height_um": float(found[1])}
    msg = f"{value!r} names no plane: give {PLANE_WORDS}"
    raise ValueError(msg)


def parse_time(value: Any) -> Any:  # noqa: ANN401 (what a file or a command line holds)
    """Turn the short form of a time point, as ``last``, ``3`` or ``30min``, into a section.

    Raises
    ------
    ValueError
        When it is text that names no time point.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return {"kind": "t", "index": value}
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text in _TIMES:
        return {"kind": text}
    if re.fullmatch(r"\d+", text):
        return {"kind": "t", "index": int(text)}
    if found := _MINUTES.fullmatch(text):
        return {"kind": "minutes", "minutes": float(found[1]) * (60 if found[2] == "h" else 1)}
    msg = f"{value!r} names no time point: give {TIME_WORDS}"
    raise ValueError(msg)


def _refuse_all_times(value: Any) -> Any:  # noqa: ANN401
    parsed = parse_time(value)
    if isinstance(parsed, AllTimes) or (isinstance(parsed, dict) and parsed.get("kind") == "all"):
        msg = (
            f"one time point is needed here, not all of them: give {TIME_WORDS}; for several, run "
            "the command once for each, with another --out"
        )
        raise ValueError(msg)
    return parsed


_Plane = Annotated[
    MaximumOfPlanes | MeanOfPlanes | FocusedPlane | PlaneIndex | PlaneHeight,
    Field(discriminator="kind"),
]
_OneTime = Annotated[FirstTime | LastTime | TimeIndex | TimeMinutes, Field(discriminator="kind")]
_Time = Annotated[
    FirstTime | LastTime | TimeIndex | TimeMinutes | AllTimes, Field(discriminator="kind")
]

PlaneChoice = Annotated[
    _Plane, BeforeValidator(parse_plane, json_schema_input_type=str | int | _Plane)
]
"""What of a z-stack is meant: ``max``, ``mean``, ``focus``, ``z:INDEX`` or ``z:HEIGHTum``."""

OneTime = Annotated[
    _OneTime, BeforeValidator(_refuse_all_times, json_schema_input_type=str | int | _OneTime)
]
"""One time point: ``first``, ``last``, an index or ``30min``."""

TimeChoice = Annotated[_Time, BeforeValidator(parse_time, json_schema_input_type=str | int | _Time)]
"""One time point, or ``all`` of them, each for itself."""


def read_plane_choice(text: str | None) -> PlaneChoice | None:
    """Turn the short form of a plane into a choice; nothing stays nothing."""
    return None if text is None else TypeAdapter[PlaneChoice](PlaneChoice).validate_python(text)


def read_time_choice(text: str | None) -> TimeChoice | None:
    """Turn the short form of a time point into a choice; nothing stays nothing."""
    return None if text is None else TypeAdapter[TimeChoice](TimeChoice).validate_python(text)


def describe_choice(settings: Mapping[str, object]) -> str:
    """Say in words which plane and time point settings hold; empty where there was no choice.

    Parameters
    ----------
    settings
        With ``plane`` and ``time`` as a file keeps them.
    """
    plane = TypeAdapter[PlaneChoice | None](PlaneChoice | None).validate_python(
        settings.get("plane")
    )
    time = TypeAdapter[TimeChoice | None](TimeChoice | None).validate_python(settings.get("time"))
    said = {"plane": plane, "time": time}
    return ", ".join(f"{name} {choice}" for name, choice in said.items() if choice is not None)
