"""`replay` with other events or another state machine: compares that history with the recorded one."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from processor.cli.difference import names_of
from processor.cli.exits import CommandError, Exit, invalid, usage
from processor.cli.options import Output
from processor.cli.output import cell, emit_report
from processor.cli.progress import Progress
from processor.cli.simulate import lines_of
from processor.cluster.difference import count_by_kind, differences
from processor.cluster.rejection import Rejected
from processor.cluster.simulation import parse_line
from processor.engine.inputs import Accepted, Cause, Decoded
from processor.engine.machine import StateMachine
from processor.replay.replaying import Start, counting
from processor.replay.whatif import EventEdits, WhatIf, what_if
from processor.replay.wiring import ShardPast
from processor.runtime.files import STDIN, check_readable

MACHINE_MEMBERS = (
    "version",
    "rejection",
    "empty",
    "load",
    "entities",
    "begin",
    "apply",
    "diff",
    "due_ms",
    "puts",
    "subject",
    "frees",
)


class Changes(NamedTuple):
    """The changes to the recorded history."""

    events: Path | None
    at_seq: int | None
    without: tuple[str, ...]
    machine: StateMachine[Any, Any] | None


def changes_of(
    events: Path | None, at_seq: int | None, without: tuple[str, ...], reducer: str | None
) -> Changes | None:
    """Return the changes that the options name, None without any. Raises CommandError, Unreadable."""
    if (events is None) != (at_seq is None):
        raise usage("--with-events FILE and --at-seq N go together")
    if events is None and not without and reducer is None:
        return None
    if events is not None and events != STDIN:
        check_readable(events)
    return Changes(events, at_seq, without, None if reducer is None else machine_of(reducer))


def compare(past: ShardPast, changes: Changes, target: int, start: Start, output: Output) -> None:
    """Fold both histories and print where they diverge. Raises CommandError if they do, Unreplayable."""
    if changes.at_seq is not None and not start.seq <= changes.at_seq <= target:
        raise usage(f"--at-seq {changes.at_seq}: the folded commits are {start.seq} to {target}")
    extra = () if changes.events is None else tuple(_events(changes.events))
    build = past.build
    if changes.machine is not None:
        build = msgspec.structs.replace(build, machine=changes.machine)
    edits = EventEdits(frozenset(changes.without), extra, changes.at_seq or 0)
    with Progress("events") as progress:
        watch = counting(progress.show, target - start.seq)
        found = what_if(past.sources, past.build, build, target, start=start, edits=edits, watch=watch)
    if changes.without and not found.left_out:
        raise CommandError(f"no folded event has the id {' or '.join(changes.without)}", Exit.INVALID_DATA)
    document = document_of(found, start.seq)
    names = names_of(document["differences"])
    emit_report(document, output, lines=readable(document), names=names, name=document["digest_instead"])
    if found.parted is not None:
        raise CommandError(f"the histories part at seq {found.parted}", Exit.DIFFERS)


def document_of(found: WhatIf, from_seq: int) -> dict[str, Any]:
    """Return both final states and their differences as plain JSON."""
    differing = differences(found.actual.state, found.other.state)
    return {
        "from_seq": from_seq,
        "to_seq": found.actual.seq,
        "parted": found.parted,
        "joined": found.joined,
        "digest": found.actual.head.digest,
        "digest_instead": found.other.head.digest,
        "left_out": found.left_out,
        "extra_outcomes": list(found.extra_outcomes),
        "turned": found.turned,
        "turns": msgspec.to_builtins(found.turns),
        "counts": count_by_kind(differing),
        "differences": differing,
    }


def readable(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the report for people."""
    yield f"seq {document['from_seq']} to {document['to_seq']}, as recorded: {document['digest']}"
    yield f"the other history: {document['digest_instead']}"
    for outcome in document["extra_outcomes"]:
        yield f"an event put in: {outcome}"
    if document["parted"] is None:
        yield "the histories never part"
        return
    joined = "" if document["joined"] is None else f", and are the same again from seq {document['joined']} on"
    yield f"the histories part at seq {document['parted']}{joined}"
    for turn in document["turns"]:
        event = f"commit {turn['seq']}: {turn['type']} {turn['event_id']}"
        yield f"{event} is {turn['instead']} instead of {turn['recorded']}"
    if document["turned"] > len(document["turns"]):
        yield f"and {document['turned'] - len(document['turns']):,} events more with another outcome"
    for one in document["differences"]:
        yield f"{one['op']} {one['kind']}/{one['name']}"
        for field in one["fields"]:
            yield f"  {field['field']}: {cell(field['before'])} → {cell(field['after'])}"


def machine_of(named: str) -> StateMachine[Any, Any]:
    """Return the state machine MODULE:ATTRIBUTE; a class is called without arguments. Raises CommandError."""
    module_name, _, attribute = named.partition(":")
    if not (module_name and attribute) or module_name.startswith("."):
        raise usage(f"--reducer {named}: must be MODULE:ATTRIBUTE, like mine.machine:Machine")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        machine: StateMachine[Any, Any] = found() if isinstance(found, type) else found
    except (ImportError, AttributeError, SyntaxError) as error:
        raise usage(f"--reducer {named}: {error}; modules are searched in PYTHONPATH") from error
    except TypeError as error:  # a class that wants arguments
        raise usage(f"--reducer {named}: {error}") from error
    missing = [name for name in MACHINE_MEMBERS if not hasattr(machine, name)]
    if missing:
        raise usage(f"--reducer {named} is not a state machine: it has no {', '.join(missing)}")
    return machine


def _events(path: Path) -> Iterator[Decoded]:
    """Yield the events of a file as they would be decoded. Raises CommandError for an invalid line."""
    for number, text in enumerate(lines_of(path), start=1):
        if not text.strip():
            continue
        line = parse_line(text)
        event = line["event"]
        if isinstance(event, Rejected):
            raise invalid(f"{path}, line {number}: {event.message}")
        yield Accepted(Cause(str(path), 0, number, f"{path.name}-{number}", line["type"]), event)
