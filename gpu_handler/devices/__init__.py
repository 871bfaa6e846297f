"""What computes beside the CPU, and how it fails."""
