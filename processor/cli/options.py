"""Options that several commands share."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, Token

from processor.cluster.kinds import SECTIONS, WORDS
from processor.configuration.loading import Loaded, load
from processor.engine.errors import InvalidRequest

OutputFormat = Literal["table", "json", "yaml", "name"]

Output = Annotated[
    OutputFormat,
    Parameter(name=["--output", "-o"], help="Form of what goes to stdout.", show_choices=True),
]
ConfigFile = Annotated[
    Path | None,
    Parameter(name="--config", help="TOML file with settings; environment variables override it."),
]
Execute = Annotated[
    bool,
    Parameter(name="--execute", negative="", help="Execute the plan; without this it is only printed."),
]
COUNT_MAX = 100_000
NUMBER_MAX = 10**18 - 1
"""Limit of seqs, offsets and the like: within a long."""
WORD_MAX = 40
SECONDS_MAX = 1_000_000_000
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def within(low: int, high: int) -> Parameter:
    """Return the parameter of an option that takes a whole number between two bounds, both inclusive."""

    def read(type_: object, tokens: Sequence[Token]) -> int:
        del type_
        text = tokens[0].value
        number = int(text) if WHOLE.fullmatch(text) else None
        if number is None or not low <= number <= high:
            raise ValueError(f"{text[:WORD_MAX]!r} is not a whole number from {low} to {high}.")
        return number

    return Parameter(converter=read)


def _check_seconds(type_: object, value: float | None) -> None:
    del type_
    if value is not None and not 0 < value <= SECONDS_MAX:
        raise ValueError(f"Must be more than 0 and at most {SECONDS_MAX} seconds.")


SECONDS = Parameter(validator=_check_seconds)
Count = Annotated[
    int, Parameter(name=["--count", "-n"], help="Number of entries, the last ones."), within(1, COUNT_MAX)
]
ClusterName = Annotated[
    str | None, Parameter(name="--cluster", help="Cluster, if there are several; it determines the partition.")
]


def settings_of(config: Path | None, **flags: object) -> Loaded:
    """Load the settings of a command; `flags` are dotted names with `__` for the dot. Raises SettingsError."""
    return load(file=config, flags={name.replace("__", "."): value for name, value in flags.items()})


def kind_and_name(word: str, name: str | None) -> tuple[str, str | None]:
    """Return kind and name of `model iris` and of `model/iris`. Raises InvalidRequest for an unknown kind."""
    if name is None and "/" in word:
        word, _, name = word.partition("/")
    if word not in WORDS:
        raise InvalidRequest(f"there is no kind {word!r}: {', '.join(SECTIONS)}")
    return WORDS[word], name
