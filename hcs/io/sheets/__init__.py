"""Tables that people write: plate maps, barcodes, clones, values; read with every fault at once."""
