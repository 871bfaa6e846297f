"""Where weights are, what they must be, and how they get onto the device."""
