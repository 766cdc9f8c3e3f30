"""Where work runs: clusters, memory, resumable maps."""
