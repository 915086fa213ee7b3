"""The executive summary: how the last seven complete days went in all five systems, and what comes next."""
