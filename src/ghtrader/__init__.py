"""ghtrader: tick-level research and trading for Shanghai futures."""

__all__ = ["__version__"]

__version__ = "0.1.0"
