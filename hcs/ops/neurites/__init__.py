"""Neurites: ridges, skeletons, crossings, lengths and arbors."""
