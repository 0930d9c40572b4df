"""`simulate`: fold events in memory, without broker and store."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from processor.cli.exits import invalid, usage
from processor.cli.output import json_text


def register(app: App) -> None:
    """Add this group's commands."""
    app.command(simulate)


def simulate(
    events: Annotated[
        Path, Parameter(allow_leading_hyphen=True, help="One event a line as JSON: type, at_ms, data; `-` is stdin.")
    ],
    *,
    state: Annotated[Path | None, Parameter(help="State to begin with: the `state` of an earlier run.")] = None,
    batch: Annotated[int, Parameter(help="Events in one batch.")] = 1,
) -> None:
    """Reduce a file of events and print the state, the changes and the rejections as one JSON document."""
    from processor.cluster.simulation import simulate as run

    if batch < 1:
        raise usage("--batch: a batch holds at least one event")
    document = run(lines_of(events), state=_state(state), batch_events=batch)
    sys.stdout.write(f"{json_text(document, indent=2)}\n")


def lines_of(path: Path) -> list[bytes]:
    """Return the lines, which end at a line feed and nowhere else: a JSON text may hold every other separator."""
    return [line.removesuffix(b"\r") for line in _content(path).split(b"\n")]


def _content(path: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise usage(f"cannot read {path}: {error.strerror}") from error


def _state(path: Path | None) -> Any:
    """Read the state of an earlier run: the `state` object, or the whole document around it."""
    import json

    from processor.cluster.document import InvalidState, from_document

    if path is None:
        return None
    try:
        document = json.loads(_content(path).decode())
        return from_document(document.get("state", document) if isinstance(document, dict) else document)
    except UnicodeDecodeError as error:
        raise invalid(f"{path} is no UTF-8 text") from error
    except (json.JSONDecodeError, InvalidState) as error:
        raise invalid(f"{path} is no state: {error}") from error
