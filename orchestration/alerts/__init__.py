"""Alerts: rules over what is published, incidents that open once and resolve once, and the mail about them."""
