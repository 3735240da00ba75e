"""Version of the installed package."""

from importlib.metadata import PackageNotFoundError, version

UNINSTALLED = "0+unknown"

try:
    __version__ = version("outliers-bench")
except PackageNotFoundError:  # a source tree that was never installed for this Python
    __version__ = UNINSTALLED
