"""Location of the schemas and topics that ship with this program: in the package, or at the top of a checkout."""

import os
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_IN_PACKAGE: Final = _PACKAGE / "data"
PROJECT_DIRECTORY: Final = _PACKAGE.parent
SHIPPED_DIRECTORY: Final = _IN_PACKAGE if _IN_PACKAGE.is_dir() else PROJECT_DIRECTORY


def resolve(path: Path) -> Path:
    """Return the path; a relative one that exists only among the shipped files is resolved there."""
    shipped = SHIPPED_DIRECTORY / path
    return shipped if not path.is_absolute() and not _exists(path) and _exists(shipped) else path


def _exists(path: Path) -> bool:
    """Return whether a file is there; one in a directory without search permission is not."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where it may not look
