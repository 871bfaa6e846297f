"""What is done to the pixels of a concept: recolour, tone, and how layers are put together."""
