"""Health of the links: the stream between gateway and strategy, and what serves operators beside trading."""
