"""The exchange on snapshots: queue, latency, fees, matching; and the market generator."""
