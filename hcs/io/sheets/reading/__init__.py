"""What a file of cells says: sheets, headers, grids, numbers, before anything has a meaning."""
