"""Sends what `ops.outbox` holds. Nothing here writes a message or decides who gets one."""
