"""The files of a cellHTS2 screen."""
