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
    Parameter(name="--config", help="TOML file with settings; environment variables win over it."),
]
Execute = Annotated[
    bool,
    Parameter(name="--execute", negative="", help="Do it; without this the plan is printed and nothing happens."),
]
COUNT_MAX = 100_000
NUMBER_MAX = 10**18 - 1
"""Seqs, offsets and the like: far beyond all that there are, and within a long."""
WORD_MAX = 40
SECONDS_MAX = 1_000_000_000
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def within(low: int, high: int) -> Parameter:
    """Return the mark of an option that takes a whole number between two bounds, both inclusive."""

    def read(type_: object, tokens: Sequence[Token]) -> int:
        del type_
        text = tokens[0].value
        number = int(text) if WHOLE.fullmatch(text) else None
        if number is None or not low <= number <= high:
            raise ValueError(f"{text[:WORD_MAX]!r} is no whole number from {low} to {high}.")
        return number

    return Parameter(converter=read)


def _check_seconds(type_: object, value: float | None) -> None:
    del type_
    if value is not None and not 0 < value <= SECONDS_MAX:
        raise ValueError(f"Seconds are wanted, more than 0, at most {SECONDS_MAX}.")


SECONDS = Parameter(validator=_check_seconds)
Count = Annotated[int, Parameter(name=["--count", "-n"], help="How many, the last ones."), within(1, COUNT_MAX)]
ClusterName = Annotated[
    str | None, Parameter(name="--cluster", help="Cluster, where there are several; it decides the partition.")
]


def settings_of(config: Path | None, **flags: object) -> Loaded:
    """Read the settings for a command; `flags` are dotted names with `__` for the dot. Raises SettingsError."""
    return load(file=config, flags={name.replace("__", "."): value for name, value in flags.items()})


def kind_and_name(word: str, name: str | None) -> tuple[str, str | None]:
    """Return kind and name of `model iris` and of `model/iris`. Raises InvalidRequest for a word that is no kind."""
    if name is None and "/" in word:
        word, _, name = word.partition("/")
    if word not in WORDS:
        raise InvalidRequest(f"there is no kind {word!r}: {', '.join(SECTIONS)}")
    return WORDS[word], name
