"""One Protocol per file. The docstring is the contract; `ghtrader.testing` ships a contract suite for each port."""
