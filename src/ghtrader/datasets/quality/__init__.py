"""Quality of factors: presence, drift, information coefficients, decay, redundancy; pure functions, and the battery over days."""
