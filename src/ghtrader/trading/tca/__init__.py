"""Transaction cost analysis: what a wanted position cost, where it was lost, and what had been expected."""
