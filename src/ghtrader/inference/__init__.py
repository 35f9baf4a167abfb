"""What predicts at run time, shared by research and trading."""
