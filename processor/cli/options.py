"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from processor.configuration import Loaded

OutputFormat = Literal["table", "json", "yaml", "name"]

Output = Annotated[
    OutputFormat,
    Parameter(name=["--output", "-o"], help="Form of what goes to stdout.", show_choices=True),
]
ConfigFile = Annotated[
    Path | None,
    Parameter(name="--config", help="TOML file with settings; environment variables win over it."),
]
Execute = Annotated[
    bool,
    Parameter(name="--execute", negative="", help="Do it; without this the plan is printed and nothing happens."),
]
ClusterName = Annotated[
    str | None, Parameter(name="--cluster", help="Cluster, where there are several; it decides the partition.")
]


def settings_of(config: Path | None, **flags: object) -> "Loaded":
    """Read the settings for a command; `flags` are dotted names with `__` for the dot. Raises SettingsError."""
    from processor.configuration import load

    return load(file=config, flags={name.replace("__", "."): value for name, value in flags.items()})
