"""The frozen network: its backbone, weights and augmentation, and where it looks."""
