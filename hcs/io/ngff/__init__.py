"""OME-Zarr of any program and version: its documents, read together, and version 0.4 written."""
