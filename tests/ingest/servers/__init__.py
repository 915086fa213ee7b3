"""Servers that the tests start on this machine, and that behave as those out there do."""
