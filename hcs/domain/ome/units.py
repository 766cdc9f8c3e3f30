"""Units of length and time as OME-Zarr metadata name them, in µm and minutes."""

from __future__ import annotations

from typing import Final

_PREFIXES: Final = {
    "yocto": 1e-24,
    "zepto": 1e-21,
    "atto": 1e-18,
    "femto": 1e-15,
    "pico": 1e-12,
    "nano": 1e-9,
    "micro": 1e-6,
    "milli": 1e-3,
    "centi": 1e-2,
    "deci": 1e-1,
    "": 1.0,
    "deca": 1e1,
    "hecto": 1e2,
    "kilo": 1e3,
    "mega": 1e6,
    "giga": 1e9,
    "tera": 1e12,
}

_METERS: Final = {
    **{f"{prefix}{unit}": f for prefix, f in _PREFIXES.items() for unit in ("meter", "metre")},
    "angstrom": 1e-10,
    "ångström": 1e-10,
    "å": 1e-10,
    "micron": 1e-6,
    "inch": 0.0254,
    "foot": 0.3048,
    "yard": 0.9144,
    "pm": 1e-12,
    "nm": 1e-9,
    "um": 1e-6,
    "µm": 1e-6,  # micro sign
    "μm": 1e-6,
    "mm": 1e-3,
    "cm": 1e-2,
    "m": 1.0,
}

_SECONDS: Final = {
    **{f"{prefix}second": factor for prefix, factor in _PREFIXES.items()},
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "min": 60.0,
    "h": 3600.0,
}


def length_um(unit: object) -> float | None:
    """µm that one unit of length is; None for a unit that is not known.

    Examples
    --------
    >>> length_um("nanometer"), length_um("parsecs")
    (0.001, None)
    """
    factor = _look_up(_METERS, unit)
    return None if factor is None else round(factor * 1e6, 24)


def time_min(unit: object) -> float | None:
    """Minutes that one unit of time is; None for a unit that is not known."""
    factor = _look_up(_SECONDS, unit)
    return None if factor is None else factor / 60


def _look_up(units: dict[str, float], unit: object) -> float | None:
    if not isinstance(unit, str):
        return None
    text = unit.strip()
    for name in (text, text.lower(), text.lower().removesuffix("s")):
        if name in units:
            return units[name]
    return None
