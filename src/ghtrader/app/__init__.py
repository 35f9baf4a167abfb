"""Composition root: reads the environment, picks adapters, hands lazy factories to the command line."""
