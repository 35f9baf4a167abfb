"""Calendar, sessions, instruments, ingest, row hash, main contract, validation."""
