"""The same script under several hash seeds."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def outputs(script: str, *hash_seeds: str) -> set[bytes]:
    """Return the different outputs of a Python script, run in a process of its own under each hash seed."""
    return {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=PROJECT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in hash_seeds
    }
