"""Asking a running processor over its HTTP API, for commands that read the store otherwise."""

import json
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from cyclopts import Parameter

from processor.cli.exits import CommandError, Exit, unreachable

TIMEOUT_S = 10.0

Server = Annotated[
    str | None,
    Parameter(name="--server", help="Address of a processor's HTTP API; instead of reading etcd. PROCESSOR_SERVER."),
]


def ask(server: str, path: str) -> Any:
    """Return the JSON at a path of the API. Raises CommandError: unreachable, or what the API says."""
    address = f"{server.rstrip('/')}/api/v1/{path}"
    try:
        with urlopen(address, timeout=TIMEOUT_S) as response:  # noqa: S310 - settings allow http and https only
            return json.load(response)
    except HTTPError as error:
        raise CommandError(f"{server}: {_sentence(error)}", Exit.DIFFERS) from error
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise unreachable(f"the processor at {server} does not answer: {reason}") from error
    except json.JSONDecodeError as error:
        raise unreachable(f"what answers at {server} is no processor: {error}") from error


def _sentence(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
