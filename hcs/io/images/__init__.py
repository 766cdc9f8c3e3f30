"""Planes of images as microscopes left them, read or refused with a reason."""
