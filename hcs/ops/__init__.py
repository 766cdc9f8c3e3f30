"""Pure array kernels: NumPy in, NumPy out."""
