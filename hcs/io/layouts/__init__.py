"""One module a vendor: file names and sidecars in, planes out."""
