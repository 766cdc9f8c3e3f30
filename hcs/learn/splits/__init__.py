"""Clone-disjoint splits: their designs and how they are drawn."""
