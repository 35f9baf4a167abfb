"""Factors, labels, splits and the build that joins them; causal by construction, proved by generated tests."""
