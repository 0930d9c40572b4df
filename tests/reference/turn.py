"""One event's turn: the state before it, the state it is making, and what its own rule asks of the steps after it."""

from dataclasses import dataclass, field

from tests.reference.words import Json, copied, latest


class RefusedError(Exception):
    """The event is rejected; `str()` is the code."""


@dataclass
class Turn:
    """`before` is never written to; `state` is a deep copy of it that the rules write to."""

    before: Json
    state: Json
    at_ms: int
    place: list[str] = field(default_factory=list)
    place_in_order: bool = False
    capacity_may_have_grown: bool = False
    replica_connected: bool = False
    user_request: str = ""  # the failure's key of what a load, unload, start or stop is about
    repeated: bool = False  # a repeat by its generation, or a removal of what is deleted
    experiment_reports: dict[str, str | None] = field(default_factory=dict)  # experiment -> reason, None: applied
    route_failure: dict[str, str] = field(default_factory=dict)  # model -> reason of a ModelRouteFailed
    replaced_experiments: set[str] = field(default_factory=set)
    emptied_servers: set[str] = field(default_factory=set)  # an entry there changed to Unloaded or LoadFailed

    @property
    def servers(self) -> Json:
        servers: Json = self.state["servers"]
        return servers

    @property
    def models(self) -> Json:
        models: Json = self.state["models"]
        return models

    @property
    def failures(self) -> Json:
        failures: Json = self.state["failures"]
        return failures

    def model_before(self, name: str) -> Json | None:
        model: Json | None = self.before["models"].get(name)
        return model

    def snapshot(self) -> tuple[Json, set[str]]:
        return copied(self.state), set(self.emptied_servers)

    def restore(self, snapshot: tuple[Json, set[str]]) -> None:
        self.state, self.emptied_servers = snapshot


def change_entry(turn: Turn, version: Json, index: str, state: str, reason: str = "") -> None:
    """Give an entry another state; the same state is no change."""
    if index in version["replicas"] and version["replicas"][index]["state"] == state:
        return
    announce_entry(turn, version, index, state, reason)
    if state in {"Unloaded", "LoadFailed"}:
        turn.emptied_servers.add(version["server"])


def announce_entry(turn: Turn, version: Json, index: str, state: str, reason: str = "") -> None:
    """Write an entry with a new `since_ms` even if it is in that state already."""
    version["replicas"][index] = {"state": state, "reason": reason, "since_ms": turn.at_ms}


def add_version(turn: Turn, model: Json, spec: Json, deployment: Json) -> Json:
    number = latest(model)["version"] + 1 if model["versions"] else 1
    version = {
        "version": number,
        "spec": copied(spec),
        "deployment": copied(deployment),
        "server": "",
        "replicas": {},
        "placement_failure": None,
        "status": "",
        "reason": "",
        "status_since_ms": turn.at_ms,
        "available_replicas": 0,
        "unavailable_replicas": 0,
        "draining_replicas": 0,
    }
    model["versions"].append(version)
    return version


def check_generation(stored: int, given: int) -> None:
    if 0 < given < stored:
        raise RefusedError("stale_generation")


def repeats(stored: int, given: int) -> bool:
    return stored == given > 0


def changes_nothing(turn: Turn, known: Json, data: Json, current: Json, definition: tuple[str, ...]) -> bool:
    """Take over the generation of a request for a thing that is there; tell whether its definition stays as it is."""
    check_generation(known["generation"], data["generation"])
    turn.repeated = repeats(known["generation"], data["generation"])
    if turn.repeated:
        return True
    known["generation"] = data["generation"]
    return all(current[key] == data[key] for key in definition)


def deletes(turn: Turn, known: Json | None, data: Json) -> bool:
    """Mark a thing as deleted; tell whether it was not yet. Raises RefusedError."""
    if known is None:
        raise RefusedError("unknown_target")
    if known["deleted"]:
        turn.repeated = True
        return False
    check_generation(known["generation"], data["generation"])
    known.update(deleted=True, deleted_ms=turn.at_ms, generation=data["generation"])
    return True
