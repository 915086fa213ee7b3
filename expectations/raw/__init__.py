"""What must be true of raw events: that each is whole, in range, and there once."""
