"""Typed keys, revisions, diff, rollback and the env-only boundary."""
