"""Sizes of what is measured, found in the images."""
