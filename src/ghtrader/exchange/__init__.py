"""Loopback exchange: speaks Shinny's auth, DIFF market data and OTG trade protocols, so that the real TqSdk client runs offline."""
