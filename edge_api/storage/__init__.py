"""All SQL: synchronous functions of a connection."""
