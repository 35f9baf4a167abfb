"""Before a session: the checks that must be green before orders may leave."""
