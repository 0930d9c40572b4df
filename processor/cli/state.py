"""`state get|diff|explain`: the state now or then, from the store, its history, the records or a running processor."""

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import App, Parameter

from processor.cli import snapshots
from processor.cli.context import CommandContext
from processor.cli.difference import diff
from processor.cli.exits import CommandError, Exit
from processor.cli.explain import explain
from processor.cli.options import ClusterName, ConfigFile, Output, kind_and_name
from processor.cli.output import emit_document, emit_rows, note
from processor.cli.points import AtOffset, AtRevision, AtSeq, AtTime, past_of, state_at
from processor.cli.remote import Server, ask
from processor.cluster.document import to_document
from processor.cluster.kinds import SECTIONS, entities_of
from processor.history.points import Now, Past

COLUMNS = {
    "server": ("name", "replicas", "draining", "expected_replicas", "requested_replicas", "declared", "shared"),
    "model": ("name", "status", "version", "server", "available", "wanted", "generation", "deleted", "reason"),
    "pipeline": ("name", "status", "version", "models_ready", "generation", "deleted", "reason"),
    "experiment": ("name", "status", "kind", "active", "generation", "deleted", "reason"),
    "responder": ("name", "role", "responder"),
    "failure": ("name", "code", "attempts", "message"),
    "policy": ("name", "retry_limit", "retry_interval_ms", "model_autoscaling", "server_autoscaling", "pack_servers"),
}


app = App(name="state")


@app.command
def get(  # noqa: PLR0913 - the options of the command
    kind: Annotated[str | None, Parameter(name="KIND", help="policy, server, model, ..., singular or plural.")] = None,
    name: Annotated[str | None, Parameter(name="NAME", help="One entity; KIND/NAME is accepted, too.")] = None,
    *,
    at_seq: AtSeq = None,
    at_time: AtTime = None,
    at_offset: AtOffset = None,
    at_revision: AtRevision = None,
    server: Server = None,
    cluster: ClusterName = None,
    config: ConfigFile = None,
    output: Output = "table",
) -> None:
    """Print the state now or in the past: all of it, one kind, or one entity. Its seq is printed on stderr.

    The past is read from the store's history while it reaches back, else the recorded events are folded again.
    """
    if kind is not None:
        kind, name = kind_and_name(kind, name)
    point = past_of(at_seq=at_seq, at_time=at_time, at_offset=at_offset, at_revision=at_revision)
    context = CommandContext(config, server=server)
    document = _document(context, context.partition_of(cluster), point)
    if kind is None:
        _print_all(document, output)
        return
    entities = entities_of(document, kind)
    if name is None:
        _print_kind(kind, entities, output)
        return
    if name not in entities:
        raise CommandError(f"there is no {kind} {name!r}", Exit.DIFFERS)
    emit_document(entities[name], output, name=f"{kind}/{name}")


app.command(diff)
app.command(explain)
app.command(snapshots.export)
app.command(snapshots.import_, name="import")


def summary(kind: str, name: str, entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entity as one row of a list."""
    latest = entity["versions"][-1] if entity.get("versions") else {}
    row = {"status": "", **entity, **latest, "name": name, "key": f"{kind}/{name}"}
    if kind == "server":
        replicas = entity["replicas"]
        row["replicas"] = len(replicas)
        row["draining"] = sum(replica["draining"] for replica in replicas.values())
    if kind == "model" and latest:
        row["available"] = latest["available_replicas"]
        row["wanted"] = latest["deployment"]["replicas"]
    if kind == "failure":
        row["status"] = entity["code"]
    return row


def _document(context: CommandContext, shard: int, point: Past | None) -> Mapping[str, Any]:
    if point is None and context.settings.server is not None:
        answer = ask(context.settings.server, f"state?shard={shard}")
        note(f"seq {answer['seq']}, from {context.settings.server}")
        document: Mapping[str, Any] = answer["state"]
        return document
    return to_document(state_at(context, shard, point or Now()).state)


def _print_all(document: Mapping[str, Any], output: Output) -> None:
    if output in {"json", "yaml"}:
        emit_document(document, output, name="")
        return
    rows = [
        {**summary(kind, name, entity), "kind": kind}
        for kind in SECTIONS
        for name, entity in sorted(entities_of(document, kind).items())
    ]
    emit_rows(rows, output, columns=("kind", "name", "status"), name="key")


def _print_kind(kind: str, entities: Mapping[str, Any], output: Output) -> None:
    if output in {"json", "yaml"}:
        emit_document(dict(entities), output, name=kind)
        return
    rows = [summary(kind, name, entity) for name, entity in sorted(entities.items())]
    emit_rows(rows, output, columns=COLUMNS[kind], name="key")
