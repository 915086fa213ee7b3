"""What must be true of events as typed columns. What cannot be true is held and told, more than a fifth is an error."""
