"""What must be true of predictions before anyone reads them."""
