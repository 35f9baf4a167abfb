"""Commands to a gateway: applied at most once each."""
