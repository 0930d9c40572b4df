"""Client of a running processor's HTTP API, for commands that otherwise read the store."""

import json
from http.client import HTTPException
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from cyclopts import Parameter

from processor.cli.exits import BY_STATUS, CommandError, Exit, unreachable
from processor.cli.proxies import proxy_for, without_secrets

TIMEOUT_S = 10.0

Server = Annotated[
    str | None,
    Parameter(name="--server", help="Address of a processor's HTTP API, read instead of etcd. PROCESSOR_SERVER."),
]


def ask(server: str, path: str) -> Any:
    """Return the JSON at a path of the API. Raises CommandError if it is unreachable or returns an error."""
    address = f"{server.rstrip('/')}/api/v1/{path}"
    proxy = proxy_for(address)
    through = f" (through the proxy {without_secrets(proxy)}; NO_PROXY names hosts without one)" if proxy else ""
    opener = build_opener(ProxyHandler({"http": proxy, "https": proxy} if proxy else {}))
    try:
        with opener.open(address, timeout=TIMEOUT_S) as response:
            return json.load(response)
    except HTTPError as error:
        code = BY_STATUS.get(error.code, Exit.DIFFERS)
        raise CommandError(f"{server}: {_sentence(error)}{through}", code) from error
    except (URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise unreachable(f"the processor at {server} does not answer{through}: {reason}") from error
    except (HTTPException, ValueError) as error:  # not HTTP, or not JSON
        raise unreachable(f"the server at {server} is not a processor{through}: {error}") from error


def _sentence(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
