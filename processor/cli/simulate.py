"""`simulate`: reduces events in memory, without broker and store."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from processor.cli.exits import invalid
from processor.cli.options import NUMBER_MAX, within
from processor.cli.output import json_text
from processor.cluster.document import InvalidState, from_document
from processor.cluster.simulation import simulate as run
from processor.runtime.files import NotText, input_of, text_of, unmarked


def simulate(
    events: Annotated[
        Path, Parameter(allow_leading_hyphen=True, help="One event a line as JSON: type, at_ms, data; `-` is stdin.")
    ],
    *,
    state: Annotated[Path | None, Parameter(help="Initial state: the `state` of an earlier run.")] = None,
    batch: Annotated[int, Parameter(help="Events in one batch."), within(1, NUMBER_MAX)] = 1,
) -> None:
    """Reduce a file of events and print the state, the changes and the rejections as one JSON document."""
    document = run(lines_of(events), state=_state(state), batch_events=batch)
    sys.stdout.write(f"{json_text(document, indent=2)}\n")


def lines_of(path: Path) -> list[bytes]:
    """Return the lines. Only a line feed ends a line: JSON text may contain all other separators."""
    try:
        content = unmarked(input_of(path), str(path))
    except NotText as error:
        raise invalid(str(error)) from error
    return [line.removesuffix(b"\r") for line in content.split(b"\n")]


def _state(path: Path | None) -> Any:
    """Read the state of an earlier run: the `state` object, or the whole document around it."""
    if path is None:
        return None
    try:
        document = json.loads(text_of(path))
        return from_document(document.get("state", document) if isinstance(document, dict) else document)
    except NotText as error:
        raise invalid(str(error)) from error
    except (ValueError, RecursionError, InvalidState) as error:
        raise invalid(f"{path} is not a state: {error}") from error
