"""How viewers open a channel: between which values, in which color."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hcs.domain.plate import Channel

_UNSTATED: Final = "FFFFFF"
_BLUE, _GREEN, _YELLOW, _RED, _MAGENTA, _CYAN = (
    "0000FF",
    "00FF00",
    "FFFF00",
    "FF0000",
    "FF00FF",
    "00FFFF",
)
COLOR_NAMES: Final = {
    _UNSTATED: "gray",
    _BLUE: "blue",
    _GREEN: "green",
    _YELLOW: "yellow",
    _RED: "red",
    _MAGENTA: "magenta",
    _CYAN: "cyan",
}
_DISTINCT: Final = (_GREEN, _MAGENTA, _CYAN, _YELLOW, _RED, _BLUE)

_DYES: Final = (
    (_UNSTATED, r"brightfield|bright field|phase( contrast)?|dic|trans(mitted)?( light)?|tl"),
    (_BLUE, r"dapi|hoechst|bfp|cfp|(alexa|af|dylight) ?\d?(350|405)|405"),
    (_GREEN, r"e?gfp|fitc|calcein|(alexa|af|dylight) ?488|488|cy2|yfp|fam"),
    (_YELLOW, r"cy3|tritc|(alexa|af|dylight) ?(532|546|555)|ds ?red|tmrm|546|555|561"),
    (_RED, r"rfp|m?cherry|tx ?red|texas ?red|(alexa|af|dylight) ?(568|594)|568|594|pe"),
    (_MAGENTA, r"cy5(\.5)?|cy7|(alexa|af|dylight) ?(633|647|660|680|700|750)|633|640|647|far ?red"),
)
"""Usual colors by words that names of channels carry, the first that fits: light that passes
through is gray, whatever filter it passed; then dyes."""

_EMISSIONS_NM: Final = ((485.0, _BLUE), (550.0, _GREEN), (585.0, _YELLOW), (650.0, _RED))
"""Up to which wavelength light is shown in which color; beyond the last in magenta."""


@dataclass(frozen=True, slots=True)
class Window:
    """Values between which a channel is shown.

    Attributes
    ----------
    low, high
        What a viewer's slider spans: the range of integers of the type, or of the values found.
    start, end
        Shown as black, and in full color.
    """

    low: float
    high: float
    start: float
    end: float

    def entry(self) -> dict[str, float]:
        """Return the ``window`` of an ``omero`` channel."""
        return {"min": self.low, "max": self.high, "start": self.start, "end": self.end}

    def __str__(self) -> str:
        """Black and full color, for the user."""
        return f"{self.start:g} to {self.end:g}"


def describe_channels(
    channels: Sequence[Channel], windows: Sequence[Window]
) -> list[dict[str, Any]]:
    """Return the ``channels`` of an ``omero`` block, all of them switched on."""
    colors = choose_colors(tuple(channels))
    return [
        {"label": channel.name, "color": color, "active": True, "window": window.entry()}
        for channel, color, window in zip(channels, colors, windows, strict=True)
    ]


@functools.lru_cache(maxsize=64)
def choose_colors(channels: tuple[Channel, ...]) -> tuple[str, ...]:
    """Choose a color for every channel.

    Parameters
    ----------
    channels
        In their order. A color that the source states stays; else the dye in the name decides, else
        the wavelength of the emission. What is left gets colors that no other channel has. A single
        channel of which nothing is known is gray.

    Returns
    -------
    tuple of str
        Six hexadecimal digits each. Two channels share a color only where their names say so, or
        where there are more channels than colors.
    """
    known = [_find_color(channel) for channel in channels]
    if len(channels) == 1 and known[0] is None:
        return (_UNSTATED,)
    free = [color for color in _DISTINCT if color not in known] or list(_DISTINCT)
    colors, taken = [], 0
    for color in known:
        colors.append(color or free[taken % len(free)])
        taken += color is None
    return tuple(colors)


def _find_color(channel: Channel) -> str | None:
    if channel.color != _UNSTATED:
        return channel.color
    words = re.sub(r"[^a-z0-9.]+", " ", channel.name.casefold())
    for color, names in _DYES:
        if re.search(rf"\b(?:{names})\b", words):
            return color
    if channel.emission_nm is None:
        return None
    found = (color for end, color in _EMISSIONS_NM if channel.emission_nm < end)
    return next(found, _MAGENTA)
