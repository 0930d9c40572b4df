"""See every deliberate defect caught, and write the table of them: `python -m tests.zoo docs/bug-zoo.md`."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.zoo.catalogue import CATALOGUE
from tests.zoo.page import caught, written


def main(target: Path) -> int:
    """Return 1 when a test failed or is missing."""
    files = sorted({entry.test.partition("::")[0] for entry in CATALOGUE})
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        options = ("-q", f"--junitxml={report}", "-o", "junit_family=xunit1")
        ended = subprocess.run([sys.executable, "-m", "pytest", *files, *options], check=False)
        found = caught(report.read_text())
    missing = [entry.test for entry in CATALOGUE if entry.test not in found]
    if ended.returncode or missing:
        sys.stderr.write(f"not caught: {missing}\n")
        return 1
    target.write_text(written(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
