"""What a user chooses: one configuration a stage, and a whole study."""
