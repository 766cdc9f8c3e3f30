"""How each microscope names its files, one module a vendor."""
