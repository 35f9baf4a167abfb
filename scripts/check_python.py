"""Say in one line what is wrong with this Python, before anything is installed."""

import sys

if sys.version_info < (3, 11):
    sys.exit(f"ghtrader needs Python 3.11 or newer, this is {sys.version.split()[0]}: make demo PYTHON=python3.11")
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError:
    sys.exit("this Python cannot make virtual environments: apt-get install python3-venv, then run the same command again")
