"""What must be true of events as typed columns. A few odd values are a warning, a day full of them an error."""
