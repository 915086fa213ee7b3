"""Reports: what the api says, told in mail and PDF, and queued for its readers. No figure is computed here."""
