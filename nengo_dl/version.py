"""The version of this package, as a string and in parts."""

import re
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _installed

name = "nengo-dl"

try:
    version = _installed(name)
except PackageNotFoundError:  # a source tree that was not installed
    version = "0+unknown"

version_info = tuple(map(int, re.findall(r"\d+", re.split(r"[^\d.]", version)[0])))
dev = "dev" in version
