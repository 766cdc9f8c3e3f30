"""Cell bodies and nuclei: outlined, parted, seeded and measured."""
