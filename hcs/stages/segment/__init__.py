"""A pixel classifier of one's own: trained from annotations, run over plates."""
