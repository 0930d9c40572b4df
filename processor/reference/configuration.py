"""Reference pages made from the code, so that they cannot say anything else."""

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from processor.configuration.loading import Option, options
from processor.configuration.settings import Settings

HEADING = """\
# Configuration

<!-- made by `processor config reference`; a test keeps it so -->

A value comes from the first of these that has it:

1. a flag of the command,
2. the environment variable below; those marked *or file* may be replaced by the same name with `_FILE` at its end,
   which names a file that holds the value (as UTF-8; the end of the line is no part of it),
3. the TOML file that `--config` or `PROCESSOR_CONFIG_FILE` names: `PROCESSOR_BATCH__EVENTS_MAX` is `events_max` in the
   table `[batch]`,
4. the default.

Lists are comma-separated, objects are JSON. An empty variable counts as not set. `processor config show`
prints the effective values and where each came from; secrets are masked.

A variable that begins with `PROCESSOR_` and is none of these is an error that names the nearest one, except for

* those that begin with `PROCESSOR_TEST`: they belong to the tests;
* those that Kubernetes injects for a Service called `processor` or `processor-…`, when the value has the form, too:
  `…_SERVICE_HOST` (an IP address), `…_SERVICE_PORT` and `…_SERVICE_PORT_<NAME>` (a number), `…_PORT` and
  `…_PORT_<N>_TCP` (`tcp://HOST:PORT`; also UDP and SCTP), and `…_PORT_<N>_TCP_PROTO`, `_PORT`, `_ADDR`;
* those of a Docker link: `…_NAME` (`/CONTAINER/ALIAS`) and, beside such a one, `…_ENV_<NAME>`.

So `PROCESSOR_PORT=tcp://10.0.0.7:80` is ignored, `PROCESSOR_PORT=8080` and `PROCESSOR_ETCD_PREFIX` are errors. Without
the injected ones altogether: `enableServiceLinks: false` in the pod's `spec`.
"""


def configuration_markdown() -> str:
    """Return the page with every setting."""
    return "\n".join([HEADING, *_sections()])


def _sections() -> Iterator[str]:
    for group, listed in groupby(options(), key=lambda option: option.path[:-1]):
        yield _title(group)
        yield "| variable | default | meaning |"
        yield "|---|---|---|"
        yield from (_row(option) for option in listed)
        yield ""


def _title(group: tuple[str, ...]) -> str:
    if not group:
        return "## General\n"
    model: Any = Settings.model_fields[group[0]].annotation
    doc = model.__doc__ if issubclass(model, BaseModel) else ""
    return f"## {group[0].replace('_', ' ').capitalize()}\n\n{doc}\n"


def _row(option: Option) -> str:
    file = " *or file*" if option.file_variable else ""
    return f"| `{option.variable}`{file} | {_default(option)} | {option.help} |"


def _default(option: Option) -> str:
    default = option.field.default
    if default is PydanticUndefined:
        return "`{}`" if option.path == ("kafka", "extra") else "host-pid"
    match default:
        case None | "":
            return "–"
        case bool():
            return f"`{json.dumps(default)}`"
        case tuple():
            return f"`{','.join(default)}`"
        case _:
            return f"`{default}`"
