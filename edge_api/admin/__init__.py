"""What operators do by hand: `python -m edge_api admin ...`."""
