"""Contract suites: one importable test class per port; every adapter's tests inherit it."""
