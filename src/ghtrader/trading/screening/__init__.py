"""The gateway beside the screening backtester: the same decisions, order for order, or the difference and its reason."""
