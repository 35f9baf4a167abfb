"""Risk, before every order: limits, meters of the exchange, the gate that alone makes approved orders, and the state behind it."""
