"""Everything that starts, wires or deploys the two programs. Nothing imports it."""
