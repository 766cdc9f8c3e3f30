"""What OME-Zarr metadata of any version and any program say of plates and images; no files."""
