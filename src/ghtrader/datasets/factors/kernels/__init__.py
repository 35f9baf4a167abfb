"""The kernels: one compiled step for batch and for live, in groups of factors; `step` is the way in."""
