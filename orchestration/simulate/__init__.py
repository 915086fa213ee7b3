"""A seeded simulator of the five systems: native event files, and the truth about what was planted in them."""
