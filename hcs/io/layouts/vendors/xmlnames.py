"""Names in the XML of vendors, without what differs between versions of their programs."""

from __future__ import annotations


def strip_namespace(name: str) -> str:
    """Take the namespace, which differs between versions of a program, from an XML name."""
    return name.rpartition("}")[2]
