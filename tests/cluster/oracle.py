"""The rules once more, slowly: plain dictionaries, everything derived anew after every event, nothing incremental.

`Oracle` holds what all rules share: entries, placement, server scaling, axes.
"""

import copy
from typing import Any

from tests.cluster import recomputation as again
from tests.cluster.recomputation import HELD, LEAVING, Json

GONE = {"LoadFailed", "Unloaded"}
ENDING = {"Terminating", "Terminated", "TerminateFailed"}
ROLES = {"engine": "dataflow_engine", "gateway": "pipeline_gateway"}


class Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Oracle:
    def __init__(self, document: Json, at_ms: int) -> None:
        self.before = document
        self.document = copy.deepcopy(document)
        self.at_ms = at_ms
        self.to_place: list[str] = []
        self.grown = self.connected = False
        self.emptied: set[str] = set()
        self.route_failed: tuple[str, str] | None = None
        self.replaced: set[str] = set()
        self.made: set[tuple[str, int]] = set()

    def __getattr__(self, table: str) -> Json:
        """Let the tables of the document be attributes: models, servers, ..."""
        value: Json = self.document[table]
        return value

    def set_entry(self, version: Json, index: int | str, state: str, reason: str = "") -> None:
        old = version["replicas"].get(str(index), {}).get("state")
        version["replicas"][str(index)] = {"state": state, "reason": reason, "since_ms": self.at_ms}
        if state in GONE and state != old:
            self.emptied.add(version["server"])

    def retired_before(self, name: str, version: Json) -> bool:
        """Tell whether the version was retiring before the event."""
        model = self.before["models"][name]
        if model["deleted"]:
            return True
        second = again.fallback(model)
        staying = {model["versions"][-1]["version"], second["version"] if second else None}
        return version["version"] not in staying

    def announced(self, name: str, version: Json) -> list[int]:
        """Return the replicas of the version in the routes before the event."""
        model = self.before["models"].get(name)
        for route in again.routes(model) if model else []:
            if (route["version"], route["server"]) == (version["version"], version["server"]):
                replicas: list[int] = route["replicas"]
                return replicas
        return []

    def release(self, name: str, version: Json, index: str, *, keep_draining: bool = False) -> None:
        state = version["replicas"][index]["state"]
        if state in HELD or state == "Draining":
            if state == "Draining" and keep_draining:
                return
            routed = int(index) in self.announced(name, version)
            self.set_entry(version, index, "UnrouteRequested" if routed else "UnloadRequested")
        elif state == "LoadFailed":
            self.set_entry(version, index, "Unloaded")

    def add_version(self, model: Json, spec: Json, deployment: Json, server: str = "") -> Json:
        number = model["versions"][-1]["version"] + 1 if model["versions"] else 1
        version = {
            "version": number,
            "spec": copy.deepcopy(spec),
            "deployment": copy.deepcopy(deployment),
            "server": server,
            "replicas": {},
            "placement_failure": None,
            "status": "",
            "reason": "",
            "status_since_ms": self.at_ms,
        }
        model["versions"].append(version)
        return version

    def free(self, server: str, index: str) -> int:
        available: int = self.servers[server]["replicas"][index]["available_memory"]
        return max(0, available - again.reserved(self.document, server, index))

    def objection(self, server: Json, version: Json) -> str:
        pin = version["spec"]["server"]
        if not server["replicas"]:
            return "no_replicas"
        if pin and pin != server["name"]:
            return "pinned_elsewhere"
        if not pin and not server["shared"]:
            return "not_shared"
        return "expects_none" if server["expected_replicas"] == 0 else ""

    def suitable(self, server: Json, version: Json) -> list[int]:
        ranked = []
        for index, record in server["replicas"].items():
            own = version["replicas"].get(index, {}).get("state") if version["server"] == server["name"] else None
            needed = version["spec"]["memory"] * version["spec"]["instances"]
            free = self.free(server["name"], index)
            fits = set(version["spec"]["requirements"]) <= set(record["capabilities"]) and needed <= free
            if not record["draining"] and (own in HELD or own == "UnrouteRequested" or fits):
                rank = 0 if own == "Available" else 1 if own in HELD else 2
                ranked.append((rank, -free, int(index)))
        return [index for _, _, index in sorted(ranked)]

    def choose(self, version: Json) -> tuple[str, list[int], bool] | None:
        wanted, least = version["deployment"]["replicas"], version["deployment"]["min_replicas"]
        if wanted == 0:
            return version["server"], [], True
        names = sorted(self.servers, key=lambda name: (name != version["server"], name))
        passed = [self.servers[name] for name in names if not self.objection(self.servers[name], version)]
        for server in passed:
            if len(self.suitable(server, version)) >= wanted:
                return server["name"], self.suitable(server, version)[:wanted], True
        counts = [min(wanted, len(self.suitable(server, version))) for server in passed]
        if least > 0 and counts and max(counts) >= least:
            server = passed[counts.index(max(counts))]
            return server["name"], self.suitable(server, version)[: max(counts)], False
        return None

    def place(self, name: str) -> None:
        model = self.models.get(name)
        if model is None or model["deleted"]:
            return
        version = model["versions"][-1]
        choice = self.choose(version)
        if choice is None:
            self.give_up(version)
        else:
            self.settle_on(model, *choice)

    def settle_on(self, model: Json, server: str, indexes: list[int], whole: bool) -> None:  # noqa: FBT001 - a choice
        version = model["versions"][-1]
        if version["server"] != server:
            if any(replica["state"] not in GONE for replica in version["replicas"].values()):
                version = self.add_version(model, version["spec"], version["deployment"], server)
            else:
                version["server"], version["replicas"] = server, {}
        for index in sorted(set(version["replicas"]) - {str(index) for index in indexes}):
            keep = version["deployment"]["replicas"] > 0
            self.release(model["name"], version, index, keep_draining=keep)
        for index in indexes:
            state = version["replicas"].get(str(index), {}).get("state")
            if state == "UnrouteRequested":
                self.set_entry(version, index, "Loaded")
            elif state not in HELD:
                self.set_entry(version, index, "LoadRequested")
                record = self.servers[server]["replicas"][str(index)]
                pair = {"model": model["name"], "version": version["version"]}
                record["orphans"] = [orphan for orphan in record["orphans"] if orphan != pair]
        version["placement_failure"] = None
        if not whole:
            self.scale_up(server, version)

    def give_up(self, version: Json) -> None:
        if all(replica["state"] in GONE for replica in version["replicas"].values()):
            version["server"], version["replicas"] = "", {}
        details = [
            {"server": name, "code": self.objection(self.servers[name], version) or "insufficient"}
            for name in sorted(self.servers)
        ]
        passed = [detail["server"] for detail in details if detail["code"] == "insufficient"]
        code = "insufficient_replicas" if passed else "no_matching_server"
        version["placement_failure"] = {"code": code, "details": details}
        self.scale_up(version["server"] or version["spec"]["server"] or (passed or [""])[0], version)

    def hosted(self, server: str) -> int:
        wants = [
            model["versions"][-1]["deployment"]["replicas"]
            for model in self.models.values()
            if not model["deleted"] and model["versions"][-1]["server"] == server
        ]
        return max(wants, default=0)

    def scale_up(self, name: str, version: Json) -> None:
        server = self.servers.get(name)
        if server is None or not self.policy["server_autoscaling"]:
            return
        expected, most = server["expected_replicas"], server["max_replicas"]
        wanted = max(self.hosted(name), version["deployment"]["replicas"])
        if expected >= 0 and most >= 1 and wanted > expected:
            target = min(wanted, most)
            asked = server["requested_replicas"]
            outstanding = asked is not None and asked > expected
            if target > expected and not (outstanding and asked >= target):
                server["requested_replicas"] = target

    def scale_down(self, server: Json) -> None:
        expected, asked = server["expected_replicas"], server["requested_replicas"]
        if not self.policy["server_autoscaling"] or expected <= 1 or (asked is not None and asked > expected):
            return
        occupying = HELD | LEAVING | {"Draining"}
        busy = {
            index
            for model in self.models.values()
            for version in model["versions"]
            if version["server"] == server["name"]
            for index in again.indexes_in(version, occupying)
        }
        empty = len([index for index in server["replicas"] if int(index) not in busy])
        least = max(server["min_replicas"], 1)
        target = max(least, expected - empty) if empty else expected
        hosted = self.hosted(server["name"])
        if self.policy["pack_servers"] and hosted:
            target = min(target, max(least, hosted))
        if target < expected:
            server["requested_replicas"] = target

    def responders_of(self, role: str) -> list[str]:
        return sorted(entry["responder"] for entry in self.responders.values() if entry["role"] == role)

    def start(self, version: Json, axis: str, operation: str) -> None:
        names = self.responders_of(ROLES[axis])
        target = version[axis]
        if not names:
            state = "Terminated" if operation == "delete" else "Create"
            target.update(state=state, reason="" if operation == "delete" else "no_responders", answers={})
            return
        states = {"create": "Creating", "rebalance": "Rebalancing", "delete": "Terminating"}
        answers = {name: {"state": "pending", "reason": ""} for name in names}
        target.update(state=states[operation], sequence=target["sequence"] + 1, answers=answers, reason="")

    def combine(self, axis: Json) -> None:
        answers = [axis["answers"][name] for name in sorted(axis["answers"])]
        states = [answer["state"] for answer in answers]
        if "pending" in states:
            return
        if axis["state"] == "Terminating":
            axis["state"] = "TerminateFailed" if "failed" in states else "Terminated"
        else:
            axis["state"] = "Ready" if "succeeded" in states else "Failed"
        reasons = [answer["reason"] for answer in answers if answer["state"] == "failed" and answer["reason"]]
        axis["reason"] = "; ".join(reasons)

    def end(self, version: Json) -> None:
        for axis in ("engine", "gateway"):
            if version[axis]["state"] not in ENDING:
                self.start(version, axis, "delete")


def check_generation(stored: int, requested: int) -> bool:
    """Return whether the request is a repeat."""
    if 0 < requested < stored:
        raise Refused("stale_generation")
    return stored == requested > 0


def check_revision(thing: Json | None, revision: int) -> bool:
    """Return whether the revision is applied already."""
    if thing is None:
        raise Refused("unknown_target")
    if revision < thing["route_revision"]:
        raise Refused("stale_report")
    if revision > thing["route_revision"]:
        raise Refused("unexpected_report")
    return bool(thing["route_applied_revision"] == revision)


def fresh(value: Any) -> Any:
    return copy.deepcopy(value)
