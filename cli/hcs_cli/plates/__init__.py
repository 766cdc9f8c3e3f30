"""Commands on plates: blind, write, check, measure and look at them."""
