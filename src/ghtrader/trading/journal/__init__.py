"""The journal of an account: an append-only record of every decision from tick to order, and what can be asked of it."""
