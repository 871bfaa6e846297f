"""What the API and the GPU handler agree on. Pure: the standard library and msgspec only."""
