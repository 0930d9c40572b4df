"""What the figures were measured on."""

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.place import PROJECT

PACKAGES = ("confluent-kafka", "grpcio", "msgspec", "immutables", "pydantic", "zstandard", "fastavro")
INSTALLATION = PROJECT / "docker" / "local" / "installation.py"


def machine() -> dict[str, Any]:
    """Return processor, memory, load, and the versions of everything that takes part."""
    versions = {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}, **_server_versions()}
    return {
        "processor": f"{_field('/proc/cpuinfo', 'model name') or platform.processor()}, {os.cpu_count()} cores",
        "memory": _field("/proc/meminfo", "MemTotal"),
        "load at the beginning": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


def _server_versions() -> dict[str, str]:
    found = re.findall(r'^(KAFKA|ETCD)_VERSION = "([^"]+)"', INSTALLATION.read_text(), re.MULTILINE)
    return {name.lower(): number for name, number in found}


def _field(file: str, name: str) -> str:
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
