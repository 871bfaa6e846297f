"""What the command `prepare` is made of: writing, verifying, and a manifest."""
