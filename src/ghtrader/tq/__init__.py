"""TqSdk adapter: history, live feed, broker. The only place that imports tqsdk."""
