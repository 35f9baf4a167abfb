"""Deterministic simulation: the real gateway on virtual time, with everything around it failing by a seed."""
