"""The constants of the kernels that were fitted or chosen: seen, set, stored, in one place."""
