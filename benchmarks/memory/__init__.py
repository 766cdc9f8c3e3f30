"""Whether memory depends on the block and never on the plate, the heads or the cells."""
