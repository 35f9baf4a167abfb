"""The state that operators see: one document with a revision, given to every sink."""
