"""What must be true of the figures before anyone reads them: keys, ranges, and parts that sum to their whole."""
