"""Rules of the product without I/O or framework."""
