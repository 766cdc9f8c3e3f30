"""What makes a run resumable: fingerprints, records of finished units, locks, provenance."""
