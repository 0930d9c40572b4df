"""`state explain`: the reasons for an entity's status, and the commits that led to it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from processor.cli.context import NO_ADDRESS, CommandContext
from processor.cli.exits import CommandError, Exit, usage
from processor.cli.options import COUNT_MAX, ClusterName, ConfigFile, Output, kind_and_name, within
from processor.cli.output import cell, emit_report, table
from processor.cli.points import now, past_in
from processor.cli.progress import Progress
from processor.cli.records import time_of
from processor.cli.remote import Server
from processor.cli.wording import transition_words
from processor.cluster.explain import explain as explained
from processor.cluster.explain import to_json
from processor.engine.errors import InvalidRequest, SourceUnavailable
from processor.history.causes import Causes
from processor.history.entity import ANNOUNCEMENTS_MAX, History, history_of
from processor.history.events import Sources
from processor.replay.states import StatesBefore

EPISODES = 5
ROWS_MAX = 40
DURATIONS = ("interval_ms", "ttl_ms", "stabilisation_ms")


def explain(  # noqa: PLR0913 - the options of the command
    kind: Annotated[str, Parameter(name="KIND", help="policy, server, model, ..., singular or plural.")],
    name: Annotated[str | None, Parameter(name="NAME", help="One entity; KIND/NAME is accepted, too.")] = None,
    *,
    count: Annotated[
        int,
        Parameter(name=["--count", "-n"], help="Number of commits of its history, the last ones; 0: none."),
        within(0, COUNT_MAX),
    ] = EPISODES,
    server: Server = None,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> int:
    """Explain an entity: the rule and the facts behind its status, what it waits for, and the events that led to it.

    Its history lists the last commits that changed it, each with the causing events, and the rejected events that named
    it. A deleted entity has a history, too; exit code 1 then.
    """
    kind, name = kind_and_name(kind, name)
    if name is None:
        raise usage("NAME is missing: KIND NAME, or KIND/NAME")
    context = CommandContext(config, server=server)
    partition = context.partition_of(cluster)
    view = now(context, partition)
    explanation = explained(view.state, kind, name)
    history, note = _history(context, partition, f"{kind}/{name}", count)
    history = None if history is None else history.until(view.seq)
    if explanation is None and (history is None or not (history.episodes or history.refusals)):
        raise CommandError(f"there is no {kind} {name!r}", Exit.DIFFERS)
    explained_json = _missing(kind, name) if explanation is None else to_json(explanation)
    document = {"seq": view.seq, **explained_json, **history_document(history, note)}
    emit_report(document, output, lines=lines(document), names=(f"{kind}/{name}",), name=name)
    return Exit.OK if explanation is not None else Exit.DIFFERS


def _missing(kind: str, name: str) -> dict[str, Any]:
    """Return the explanation of an entity that does not exist, to which its history is added."""
    rule = "there is none of this name (any more)"
    return {"kind": kind, "name": name, "status": "", "rule": rule, "facts": {}, "sections": {}, "awaits": []}


def history_document(history: History | None, note: str) -> dict[str, Any]:
    """Return the history as plain JSON: None if unreadable, with the reason in `history_note`."""
    if history is None:
        return {"history": None, "refusals": None, "history_note": note}
    episodes, refusals = msgspec.to_builtins((history.episodes, history.refusals))
    return {"history": list(episodes), "refusals": list(refusals), "history_note": note}


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield an explanation for people: what it waits for, then the facts, then the history."""
    status = document["status"]
    yield f"{document['kind']} {document['name']}{f': {status}' if status else ''}"
    yield f"  because {document['rule']}"
    yield from _titled("waits for", [f"- {awaited}" for awaited in document["awaits"]])
    width = max((len(_label(name)) for name in document["facts"]), default=0)
    facts = document["facts"].items()
    yield from _titled("facts", [f"{_label(name):{width}}  {field_text(name, value)}" for name, value in facts])
    for title, rows in document["sections"].items():
        yield from _titled(title, list(_rows(rows)))
    yield from _titled("history, the newest first", list(_episodes(document)))
    yield from _titled("refused, the newest first", list(_refusals(document)))


def _titled(title: str, content: list[str]) -> Iterator[str]:
    if content:
        yield ""
        yield title
        yield from (f"  {line}" for line in content)


def _rows(rows: list[dict[str, Any]]) -> Iterator[str]:
    shown = [{_label(name): field_text(name, value) for name, value in row.items()} for row in rows[:ROWS_MAX]]
    if shown:
        yield from table(shown, list(shown[0]))
    if len(rows) > ROWS_MAX:
        yield f"… {len(rows) - ROWS_MAX} more; -o json shows all"


def _label(name: str) -> str:
    return (name.removesuffix("_ms") if _is_time(name) else name).replace("_", " ")


def field_text(name: str, value: Any) -> str:
    """Return the value of a field for people, times as RFC 3339."""
    return time_of(value) if _is_time(name) and value is not None else cell(value)


def _is_time(name: str) -> bool:
    return name.endswith("_ms") and not name.endswith(DURATIONS)


def _episodes(document: Mapping[str, Any]) -> Iterator[str]:
    for episode in document["history"] or ():
        yield f"commit {episode['seq']}  {time_of(episode['committed_ms'])}  {episode['op']}"
        yield from (f"    {transition_words(transition)}" for transition in episode["transitions"])
        for event in episode["events"]:
            yield f"  {_part_of(event, episode)} {_event(event)}"
            if event["fields"]:
                yield f"      changed {cell(event['fields'])}"
        if episode["untold"]:
            others = "1 other event" if episode["untold"] == 1 else f"{episode['untold']} other events"
            yield f"  and {others} in the same commit"
        if episode["lost"]:
            yield f"  ({episode['lost']})"
    if document["history_note"]:
        yield f"({document['history_note']})"


def _part_of(event: Mapping[str, Any], episode: Mapping[str, Any]) -> str:
    if event["fields"] is None and not event["named"] and len(episode["events"]) > 1:
        return "along with"
    return "caused by"


def _refusals(document: Mapping[str, Any]) -> Iterator[str]:
    for refusal in document["refusals"] or ():
        yield f"commit {refusal['seq']}  {time_of(refusal['committed_ms'])}  {refusal['code']}: {refusal['message']}"
        yield f"  {_event(refusal)}"


def _event(event: Mapping[str, Any]) -> str:
    place = f"{event['topic']}[{event['partition']}]@{event['offset']}"
    default_id = f"{event['topic']}-{event['partition']}-{event['offset']}"
    stated = "" if event["event_id"] == default_id else f"  id {event['event_id']}"
    return f"{event['type']} {cell(event['data'])}  {place}  {time_of(event['at_ms'])}{stated}"


def _history(context: CommandContext, partition: int, key: str, count: int) -> tuple[History | None, str]:
    if count < 1:
        return None, ""
    if not context.knows_brokers:
        return None, NO_ADDRESS
    try:
        past = past_in(context, partition)
        with Progress("commits") as progress, StatesBefore(past, progress.show_commits) as state_before:
            causes = Causes(state_before, past.build.decoder)
            sources = Sources(context.topics, context.reader, context.decode, causes)
            history = history_of(sources, partition, key, count=count)
    except (SourceUnavailable, InvalidRequest) as error:
        return None, f"without history: {error}"
    if history.episodes:
        return history, "" if history.whole else "there is more: --count"
    looked = "the topic" if history.whole else f"the last {ANNOUNCEMENTS_MAX} announcements"
    return history, f"{looked} holds no change of it"
