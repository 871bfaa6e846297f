"""Where whole pictures are worked on: one interface, on the CPU or on a device."""
