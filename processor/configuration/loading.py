"""Loads the settings from all sources, with the origin of each value.

Precedence, highest first: flags of the command line, environment, TOML file, defaults. Sources are merged option by
option, not table by table: a file may set `batch.events_max` and the environment `batch.ranges_max`. `Settings` itself
reads nothing from outside, so this module is the only place that decides on precedence, and the origin that
`config show` and error messages give is the source whose value was used.

An option has one dotted name (`etcd.password`), from which its other names follow: the TOML key `password` of the table
`[etcd]`, the variable PROCESSOR_ETCD__PASSWORD, and for options marked with `ValueFile` PROCESSOR_ETCD__PASSWORD_FILE,
the path of a file that holds the value. Such a secret keeps its path, because the file may be replaced while the
process runs (`current_value`). Setting both the variable and its `_FILE` is an error.

Every name that starts with PROCESSOR_ must be an option: a misspelt variable would otherwise leave a default in force.
Exempt are variables that Kubernetes or Docker inject (`injected`) and those of the test suite. An empty variable, as
templates leave it, sets nothing.

Each problem is one sentence that names the option, and all problems are reported at once (`SettingsError`). The text of
an option that may hold a secret is never part of a message.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from pydantic import SecretStr, ValidationError

from processor.configuration.injected import is_injected
from processor.configuration.options import PREFIX, Option, OptionPath, options
from processor.configuration.settings import Settings
from processor.configuration.types import SecretFromFile
from processor.engine.errors import InvalidRequest
from processor.runtime.files import Unreadable, text_of

CONFIG_FILE = "PROCESSOR_CONFIG_FILE"
TEST_PREFIX = "PROCESSOR_TEST"
MASK = "********"
SECRET_PROPERTY_PARTS = ("password", "secret", "pem", "oauthbearer", "sasl.username")
MAY_HOLD_SECRETS = frozenset({"kafka.extra", "server", "schema_registry.url"})
"""Options whose invalid values are not repeated in messages."""

Origin = Literal["flag", "environment", "file", "default"]


class SettingsError(InvalidRequest):
    """The settings cannot be used; `problems` are sentences."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Loaded(msgspec.Struct, frozen=True):
    """The settings, and the origin of each option by dotted name."""

    settings: Settings
    origins: Mapping[str, Origin]


class ShownOption(msgspec.Struct, frozen=True):
    """One row of `config show`; secrets are masked."""

    name: str
    variable: str
    value: Any
    origin: Origin
    help: str


def load(
    *, flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None, file: Path | None = None
) -> Loaded:
    """Read all sources. `flags` maps dotted names to values; None values are no flags. Raises SettingsError."""
    environment = os.environ if environment is None else environment
    problems = list(_unknown_variables(environment))
    named_file = file or (Path(environment[CONFIG_FILE]) if environment.get(CONFIG_FILE) else None)
    layers: tuple[tuple[Origin, dict[str, Any]], ...] = (
        ("file", _from_file(named_file, problems)),
        ("environment", _from_environment(environment, problems)),
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
    )
    if problems:
        raise SettingsError(tuple(problems))
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {option.name: "default" for option in options()}
    for origin, layer in layers:
        values.update(layer)
        origins.update(dict.fromkeys(layer, origin))
    return Loaded(_validated(values, origins), origins)


def show(loaded: Loaded) -> list[ShownOption]:
    """Return every option with its effective value and origin."""
    return [
        ShownOption(
            name=option.name,
            variable=option.variable,
            value=_plain(_value_at(loaded.settings, option.path)),
            origin=loaded.origins[option.name],
            help=option.help,
        )
        for option in options()
    ]


def _validated(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> Settings:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *groups, leaf = name.split(".")
        table = nested
        for group in groups:
            table = table.setdefault(group, {})
        table[leaf] = value
    try:
        return Settings(**nested)
    except ValidationError as error:
        raise SettingsError(tuple(_sentence(dict(problem), origins) for problem in error.errors())) from error


def _sentence(problem: Mapping[str, Any], origins: Mapping[str, Origin]) -> str:
    by_path = {option.path: option for option in options()}
    location = tuple(str(part) for part in problem["loc"])
    option = next((by_path[location[:n]] for n in range(len(location), 0, -1) if location[:n] in by_path), None)
    message = str(problem["msg"]).removeprefix("Value error, ")
    if option is None:
        return message
    # a value with an @ may be an address that holds a password
    hidden = option.file_variable or option.name in MAY_HOLD_SECRETS or "@" in repr(problem["input"])
    shown = "" if hidden else f" (it is {problem['input']!r}, from {origins[option.name]})"
    return f"{option.variable}: {message[:1].lower()}{message[1:]}{shown}"


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """Return the options that are set, by dotted name."""
    found: dict[str, Any] = {}
    for option in options():
        if environment.get(option.variable):
            found[option.name] = _parsed(option, environment[option.variable], problems)
        file_variable = option.file_variable
        if file_variable is not None and environment.get(file_variable):
            if option.name in found:
                problems.append(f"{option.variable} and {file_variable} are both set: keep one of them")
            file = environment[file_variable]
            found[option.name] = SecretFromFile(_file_value(file_variable, file, problems), Path(file))
    return found


def _parsed(option: Option, text: str, problems: list[str]) -> Any:
    """Return the text of a variable; a secret without the line's end, `kafka.extra` parsed as JSON."""
    if Path in (option.field.annotation, *get_args(option.field.annotation)):
        return text  # the name of a file may be any bytes
    try:
        text = os.fsencode(text).decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        problems.append(f"{option.variable}: no UTF-8 text: byte 0x{byte:02X} at offset {error.start}")
        return ""
    if option.file_variable is not None:
        return text.rstrip("\r\n")
    if option.path != ("kafka", "extra"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"{option.variable}: this is no JSON object: {error}")
        return {}


def _file_value(variable: str, path: str, problems: list[str]) -> str:
    try:
        value = text_of(Path(path)).rstrip("\r\n")
    except Unreadable as error:
        problems.append(f"{variable}: {error}")
        return ""
    if not value:
        problems.append(f"{variable}: {path} is empty")
    return value


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = {CONFIG_FILE}
    for option in options():
        known |= {option.variable, option.file_variable or option.variable}
    ours = (name for name in environment if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX))
    for variable in sorted(ours):
        if variable not in known and not is_injected(variable, environment):
            nearest = difflib.get_close_matches(variable, sorted(known), n=1, cutoff=0.0)
            yield f"{variable} is no setting of the processor; the nearest one is {nearest[0]}"


def _from_file(file: Path | None, problems: list[str]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        document = tomllib.loads(text_of(file))
    except Unreadable as error:
        problems.append(f"configuration file: {error}")
        return {}
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one; others are of endless numbers and nesting
        problems.append(f"configuration file: {file} is no TOML: {error}")
        return {}
    return _flattened(document, file, problems)


def _flattened(document: Mapping[str, Any], file: Path, problems: list[str]) -> dict[str, Any]:
    known = {option.name for option in options()}
    found: dict[str, Any] = {}
    for key, value in document.items():
        leaves = {key: value} if key in known or not isinstance(value, dict) else _leaves(key, value)
        for name, leaf in leaves.items():
            if name in known:
                found[name] = leaf
            else:
                nearest = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.0)[0]
                problems.append(f"{file}: {name} is no setting of the processor; the nearest one is {nearest}")
    return found


def _leaves(group: str, table: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{group}.{key}": value for key, value in table.items()}


def _value_at(settings: Settings, path: OptionPath) -> Any:
    value: Any = settings
    for part in path:
        value = getattr(value, part)
    return value


def _plain(value: Any) -> Any:
    """Return a value that prints and goes into JSON, without secrets."""
    match value:
        case SecretStr():
            return MASK
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case dict():
            return {
                key: MASK if any(part in key for part in SECRET_PROPERTY_PARTS) else item for key, item in value.items()
            }
        case _:
            return value
