"""What runs, when and in which order: one folder a stage, in the order in which data flows."""
