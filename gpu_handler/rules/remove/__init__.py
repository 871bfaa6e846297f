"""Taking things out: the surface behind them goes on."""
