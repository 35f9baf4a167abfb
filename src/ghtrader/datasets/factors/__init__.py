"""Causal factors: declared once, computed by one compiled kernel in batch and per tick."""
