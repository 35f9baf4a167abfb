"""The strategy runner: ticks in, factors and model, targets out. A pure core (`core`); what people write is in `api`."""
