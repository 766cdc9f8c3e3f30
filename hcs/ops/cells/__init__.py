"""Cells without neurites: bodies around nuclei, compartments, and what is measured on each."""
