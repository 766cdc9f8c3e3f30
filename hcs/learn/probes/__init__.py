"""What else than biology a score could mean: shuffles, leaks, batches, amounts, covariates."""
