"""What stands behind the ports: local files, memory, replay, synthetic markets, predictors. Adapters never import each other."""
