"""Learning: pure functions on data frames. Nothing here knows the warehouse, and nothing is stored."""
