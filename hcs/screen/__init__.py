"""Plate statistics: controls, normalisation, quality, hits."""
