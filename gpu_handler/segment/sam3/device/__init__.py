"""What fits on the device, what to do when it does not, and which errors are the end of it."""
