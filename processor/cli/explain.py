"""`state explain`: why an entity is as it is, and what made it so."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from processor.cli.exits import CommandError, Exit, invalid, usage
from processor.cli.options import ClusterName, ConfigFile, Output
from processor.cli.output import cell, emit_document, table
from processor.cli.reach import Reach
from processor.cli.records import time_of
from processor.cli.remote import Server, ask
from processor.cli.wording import transition_words
from processor.kinds import SECTIONS, WORDS

if TYPE_CHECKING:
    from processor.cluster.state import State
    from processor.history import History

EPISODES = 5
ROWS_MAX = 40
DURATIONS = ("interval_ms", "ttl_ms", "stabilisation_ms")
NO_ADDRESS = "Kafka's address is not set: PROCESSOR_KAFKA__BOOTSTRAP_SERVERS, the brokers that this processor works on"


def explain(  # noqa: PLR0913 - the options of the command
    kind: Annotated[str, Parameter(name="KIND", help="policy, server, model, ..., singular or plural.")],
    name: Annotated[str, Parameter(name="NAME", help="One entity.")],
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"], help="Commits of its history, the last ones.")] = EPISODES,
    server: Server = None,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Say why an entity is so: the rule and the facts behind its status, whom it waits for, and what made it so."""
    from processor.cluster.explain import explain as explained
    from processor.cluster.explain import to_json

    if kind not in WORDS:
        raise usage(f"there is no kind {kind!r}: {', '.join(SECTIONS)}")
    reach = Reach(config, server=server)
    partition = reach.partition_of(cluster)
    explanation = explained(_state(reach, partition), WORDS[kind], name)
    if explanation is None:
        raise CommandError(f"there is no {WORDS[kind]} {name!r}", Exit.DIFFERS)
    history, note = _history(reach, partition, f"{explanation.kind}/{explanation.name}", count)
    document = {**to_json(explanation), **history_document(history, note)}
    match output:
        case "table":
            sys.stdout.writelines(f"{line}\n" for line in lines(document))
        case "name":
            sys.stdout.write(f"{explanation.kind}/{explanation.name}\n")
        case _:
            emit_document(document, output)


def history_document(history: "History | None", note: str) -> dict[str, Any]:
    """Return the history as plain JSON: None where it could not be read, and why in `history_note`."""
    import msgspec

    episodes = None if history is None else [msgspec.to_builtins(episode) for episode in history.episodes]
    return {"history": episodes, "history_note": note}


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield an explanation for people: first what there is to do, then the facts, then what happened."""
    status = document["status"]
    yield f"{document['kind']} {document['name']}{f': {status}' if status else ''}"
    yield f"  because {document['rule']}"
    yield from _titled("waits for", [f"- {awaited}" for awaited in document["awaits"]])
    width = max((len(_label(name)) for name in document["facts"]), default=0)
    facts = document["facts"].items()
    yield from _titled("facts", [f"{_label(name):{width}}  {_shown(name, value)}" for name, value in facts])
    for title, rows in document["sections"].items():
        yield from _titled(title, list(_rows(rows)))
    yield from _titled("history, the newest first", list(_episodes(document)))


def _titled(title: str, content: list[str]) -> Iterator[str]:
    if content:
        yield ""
        yield title
        yield from (f"  {line}" for line in content)


def _rows(rows: list[dict[str, Any]]) -> Iterator[str]:
    shown = [{_label(name): _shown(name, value) for name, value in row.items()} for row in rows[:ROWS_MAX]]
    if shown:
        yield from table(shown, list(shown[0]))
    if len(rows) > ROWS_MAX:
        yield f"… {len(rows) - ROWS_MAX} more; -o json shows all"


def _label(name: str) -> str:
    return (name.removesuffix("_ms") if _is_time(name) else name).replace("_", " ")


def _shown(name: str, value: Any) -> str:
    return time_of(value) if _is_time(name) and value is not None else cell(value)


def _is_time(name: str) -> bool:
    return name.endswith("_ms") and not name.endswith(DURATIONS)


def _episodes(document: Mapping[str, Any]) -> Iterator[str]:
    for episode in document["history"] or ():
        yield f"commit {episode['seq']}  {time_of(episode['committed_ms'])}  {episode['op']}"
        yield from (f"    {transition_words(transition)}" for transition in episode["transitions"])
        for event in episode["events"]:
            place = f"{event['topic']}[{event['partition']}]@{event['offset']}"
            mark = "caused by" if event["named"] or len(episode["events"]) == 1 else "along with"
            yield f"  {mark} {event['type']} {cell(event['data'])}  {place}  {time_of(event['at_ms'])}"
        if episode["untold"]:
            yield f"  and {episode['untold']} more events"
        if episode["lost"]:
            yield f"  ({episode['lost']})"
    if document["history_note"]:
        yield f"({document['history_note']})"


def _state(reach: Reach, shard: int) -> "State":
    if reach.settings.server is None:
        from processor.inspection import current_state

        with reach.store() as client:
            return current_state(client, reach.settings, shard)
    from processor.cluster.document import InvalidState, from_document

    try:
        return from_document(ask(reach.settings.server, f"state?shard={shard}")["state"])
    except InvalidState as error:
        raise invalid(f"{reach.settings.server} has a state that this build cannot read: {error}") from error


def _history(reach: Reach, partition: int, key: str, count: int) -> "tuple[History | None, str]":
    from processor.engine.errors import InvalidRequest, SourceUnavailable
    from processor.history import ANNOUNCEMENTS_MAX, Sources, history_of

    if count < 1:
        return None, ""
    if reach.settings.server is not None and reach.origins["kafka.bootstrap_servers"] == "default":
        return None, NO_ADDRESS
    try:
        history = history_of(Sources(reach.topics, reach.reader, reach.decode), partition, key, count=count)
    except (SourceUnavailable, InvalidRequest) as error:
        return None, f"without history: {error}"
    if history.episodes:
        return history, "" if history.whole else "there is more: --count"
    looked = "the topic" if history.whole else f"the last {ANNOUNCEMENTS_MAX} announcements"
    return history, f"{looked} holds no change of it"
