"""Containers of microscope makers (CZI, ND2, LIF): many planes of many fields in one file."""
