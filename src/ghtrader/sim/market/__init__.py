"""Markets whose truth is known: an event-level limit order book, seen through 500 ms snapshots."""
