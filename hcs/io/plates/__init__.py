"""OME-Zarr plates on disk: their fields, tables and overviews."""
