"""Outward I/O: small classes with timeouts and typed answers."""
