"""The gates: a blocking check for every suite in `expectations/`, over what changed since the table last passed."""
