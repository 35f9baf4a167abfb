"""The gateway of one account: feed, orders, risk, kill switch, journal. A pure core (`core`) behind a shell that does the I/O."""
