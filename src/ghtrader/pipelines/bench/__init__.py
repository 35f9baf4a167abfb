"""Benchmarks with their protocol: work done, rows per second on one core, memory, machine, versions, peers in the same run."""
