"""Splits, backbone, heads, forest and how they are judged."""
