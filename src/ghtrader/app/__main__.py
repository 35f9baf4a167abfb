"""``python -m ghtrader.app``: the same as ``ghtrader``."""

from ghtrader.app.main import main

main()
