"""State and commands of an account on a Redis server. Redis is optional at all times: nothing here makes the gateway's thread wait."""
