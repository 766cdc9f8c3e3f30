"""What ingest gives to its workers: planes of fields, well by well."""
