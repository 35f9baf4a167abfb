"""The TqSdk scripts are run by tests, never imported."""

collect_ignore_glob = ["scripts/*.py"]
