"""The trading runtime: gateway, risk, kill switch, journal, execution, strategy runner. Pure cores, one thread owns each state."""
