"""Files become rows of `raw.events`, once each, or of `raw.quarantine`, with a reason. What they mean is dbt's work."""
