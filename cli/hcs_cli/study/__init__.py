"""Commands that start here: a whole study, its report, simulated plates, this machine."""
