"""How long things are kept: what has expired is archived or dropped, and can be restored from its archive."""
