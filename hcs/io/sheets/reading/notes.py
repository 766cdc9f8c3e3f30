"""Lists rows and names in notes on how a file was read."""

from __future__ import annotations

from collections.abc import Sequence


def list_some(items: Sequence[object], most: int = 8) -> str:
    """Join the first ones, and say how many more there are."""
    listed = ", ".join(str(item) for item in items[:most])
    return f"{listed} and {len(items) - most} more" if len(items) > most else listed
