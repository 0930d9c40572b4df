"""I3 and I4: fold the inputs again in the recorded order and compare outcomes, digests, announcements and the store.

The state machine and the event decoder are the project's; entities and announcements are written by fastavro.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from processor.engine.inputs import Accepted, Cause, Invalid, Record
from processor.engine.machine import Change, StateMachine
from processor.engine.ports import EventDecoder
from tests.checker.artefacts import Artefacts, Published, place_of
from tests.checker.single_object import PREFIX_BYTES, Schemas

FASTAVRO_PER_JSON = 3
"""Avro never has so many times the bytes of JSON with field names."""
MODULUS = 1 << 128
MESSAGE_BYTES_MAX = 1024
OPERATIONS = {"create": "c", "update": "u", "delete": "d"}
Expected = tuple[str, str, Mapping[str, Any]]
"""Key, full record name and data of an announcement."""


@dataclass(frozen=True)
class Reference:
    """What the run is compared with; `types` is kind → entity struct, `namespace` that of the state schemas' parent."""

    machine: StateMachine[Any, Any]
    decoder: EventDecoder
    schemas: Schemas
    types: Mapping[str, type]
    namespace: str = "processor"

    def stored(self, key: str, entity: Any) -> bytes:
        """Return the value that the store should have."""
        return self.schemas.encode(f"{self.namespace}.state.{_record_name(key)}", _plain(entity))

    def entity(self, key: str, data: Any) -> Any:
        """Return the entity of decoded Avro."""
        return msgspec.convert(data, self.types[key.partition("/")[0]])


class Replay:
    """Folds commit by commit; `findings` says what differed, sentence by sentence."""

    def __init__(self, artefacts: Artefacts, reference: Reference) -> None:
        self.findings: list[str] = []
        self._artefacts = artefacts
        self._reference = reference
        self._state = reference.machine.empty()
        self._values = {key: reference.stored(key, entity) for key, entity in reference.machine.entities(self._state)}
        self._defaults = dict(self._values)
        self._digest = sum(map(_digest, self._values.items())) % MODULUS
        self._number = 0
        self._records = {place_of(record): record for record in artefacts.inputs}
        self._announced: dict[int, list[Published]] = {}
        for published in artefacts.changes:
            self._announced.setdefault(published.seq, []).append(published)

    def run(self) -> list[str]:
        """Fold all commits, then compare what came out of them with the store; return the findings."""
        for commit in self._artefacts.commits:
            self._commit(commit.value)
        for seq in sorted(self._announced.keys() - {commit.value["seq"] for commit in self._artefacts.commits}):
            self.findings.append(f"there are announcements of commit {seq}, which is not in the commit log")
        self.findings += _in_store(self._values, self._defaults, self._artefacts.store.entities)
        if self._artefacts.store.head["announcements"] != self._number:
            self._find("head", f"the next number is {self._artefacts.store.head['announcements']}, not {self._number}")
        return self.findings

    def _commit(self, commit: Mapping[str, Any]) -> None:
        before = self._reference.machine.begin(self._state)
        self._expect(commit, "previous_digest", self._digest.to_bytes(16, "big"))
        self._expect(commit, "first_number", self._number)
        if commit["kind"] in {"repair", "rebuild"}:
            rejected: list[Expected] = []
            self._state = self._mended(before, commit["seq"])
        else:
            rejected = self._fold(before, commit)
        changes = self._reference.machine.diff(before, self._state)
        expected = [self._announcement(change) for change in changes] + rejected
        if commit["kind"] == "repair" and any(map(_is_adopted, self._announced.get(commit["seq"], []))):
            expected = self._adopted(commit["seq"], changes)
        self._remember(changes)
        self._compare(commit, expected)
        self._expect(commit, "digest", self._digest.to_bytes(16, "big"))
        self._expect(commit, "changed", len(expected) - len(rejected))
        self._expect(commit, "rejected", len(rejected))
        self._expect(commit, "announcements", len(expected))
        self._number += commit["announcements"]

    def _fold(self, before: Any, commit: Mapping[str, Any]) -> list[Expected]:
        """Reduce the commit's records; return what its rejections should be announced as."""
        records = list(_consumed(commit, self._records))
        claimed = [run["outcome"] for run in commit["outcomes"] for _ in range(run["count"])]
        if len(claimed) != len(records):
            self._find(commit["seq"], f"{len(claimed)} outcomes for {len(records)} records")
        self._expect(commit, "dead_lettered", claimed.count("dead_lettered"))
        self._state, rejected = before, []
        for record, outcome in zip(records, claimed, strict=False):
            if outcome == "dead_lettered":
                continue
            found, rejection = self._reduce(record, commit)
            if found != outcome:
                self._find(commit["seq"], f"{place_of(record)} is {outcome} there, {found} here")
            rejected += rejection
        return rejected

    def _reduce(self, record: Record, commit: Mapping[str, Any]) -> tuple[str, list[Expected]]:
        decoded = self._reference.decoder.decode(record)
        if isinstance(decoded, Invalid):
            return "rejected", [_rejection(decoded.cause, "invalid_event", decoded.message)]
        if not isinstance(decoded, Accepted):
            return "dead_lettered", []
        result = self._reference.machine.apply(self._state, decoded.event)
        if isinstance(result, self._reference.machine.rejection):
            refused: Any = result
            return "rejected", [_rejection(decoded.cause, refused.code, refused.message)]
        if commit["entity_bytes_max"] and self._is_too_large(decoded.event, result, commit):
            expected = _rejection(decoded.cause, "entity_too_large", "")
            return "rejected", [(*expected[:2], {**expected[2], "message": None})]
        outcome = "unchanged" if result is self._state else "applied"
        self._state = result
        return outcome, []

    def _is_too_large(self, event: Any, after: Any, commit: Mapping[str, Any]) -> bool:
        """Tell whether an event makes an entity larger than it may."""
        machine, limit = self._reference.machine, commit["entity_bytes_max"]
        hard = commit["value_bytes_max"]
        by_the_way = (limit + hard) // 2 if hard and not machine.frees(event) else hard
        for change in machine.diff(self._state, after):
            if change.after is None or FASTAVRO_PER_JSON * len(msgspec.json.encode(change.after)) < limit:
                continue
            size = len(self._reference.stored(change.key, change.after))
            size_before = len(self._reference.stored(change.key, change.before)) if change.before is not None else 0
            grows = size > size_before
            if grows and change.key == machine.subject(event) and size > limit:
                return True
            if grows and any(bound and size_before <= bound < size for bound in (by_the_way, hard)):
                return True
        return False

    def _mended(self, before: Any, seq: int) -> Any:
        """Return the state after a commit without ranges, whose announcements say what it became."""
        entities = dict(self._reference.machine.entities(before))
        for published in self._announced.get(seq, []):
            key = (published.record.key or b"").decode()
            entities.pop(key, None)
            if published.value["after"] is not None:
                entities[key] = self._reference.entity(key, published.value["after"])
        return self._reference.machine.load(entities.items())

    def _adopted(self, seq: int, changes: Iterable[Change]) -> list[Expected]:
        """Return what an adoption announces: whatever may have been edited, as it is, without before and transitions.

        What is gone cannot be named.
        """
        entities = dict(self._reference.machine.entities(self._state))
        announced = {(published.record.key or b"").decode() for published in self._announced[seq]}
        named = announced | {change.key for change in changes if change.after is not None}
        return [
            (
                key,
                f"{self._reference.namespace}.changes.{_record_name(key)}Changed",
                {"op": "u", "before": None, "after": _plain(entities.get(key)), "transitions": []},
            )
            for key in sorted(named)
        ]

    def _remember(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.key in self._values:
                self._digest -= _digest((change.key, self._values.pop(change.key)))
            if change.after is not None:
                value = self._values[change.key] = self._reference.stored(change.key, change.after)
                self._digest += _digest((change.key, value))
        self._digest %= MODULUS

    def _announcement(self, change: Change) -> Expected:
        name = f"{self._reference.namespace}.changes.{_record_name(change.key)}Changed"
        data = {
            "op": OPERATIONS[change.op],
            "before": _plain(change.before),
            "after": _plain(change.after),
            "transitions": [_without_nulls(_plain(transition)) for transition in change.transitions],
        }
        return change.key, name, data

    def _compare(self, commit: Mapping[str, Any], expected: list[Expected]) -> None:
        announced = self._announced.get(commit["seq"], [])
        if len(announced) != len(expected):
            self._find(commit["seq"], f"{len(announced)} announcements instead of {len(expected)}")
        for published, (key, name, data) in zip(announced, expected, strict=False):
            if ((published.record.key or b"").decode(), published.type) != (key, name):
                self._find(commit["seq"], f"{published.record.key!r}, {published.type} instead of {key}, {name}")
                continue
            self.findings += _needless(published, data, commit["record_bytes_max"], self._reference)
            for part, wanted in data.items():
                if (wanted is None and part == "message") or _is_omitted(published, part):
                    continue
                found = published.value[part]
                found = [_without_nulls(item) for item in found] if part == "transitions" else found
                if found != wanted:
                    self._find(commit["seq"], f"{key}: {part} is {found!r} instead of {wanted!r}")

    def _expect(self, commit: Mapping[str, Any], part: str, wanted: Any) -> None:
        if commit[part] != wanted:
            self._find(commit["seq"], f"{part} is {commit[part]!r} instead of {wanted!r}")

    def _find(self, seq: int | str, what: str) -> None:
        self.findings.append(f"commit {seq}: {what}" if isinstance(seq, int) else f"{seq}: {what}")


def _consumed(commit: Mapping[str, Any], records: Mapping[tuple[str, int, int], Record]) -> Iterator[Record]:
    for part in commit["ranges"] if commit["kind"] != "gap" else ():
        for offset in range(part["from"], part["to"]):
            record = records.get((part["topic"], part["partition"], offset))
            if record is not None:
                yield record


def _in_store(values: Mapping[str, bytes], defaults: Mapping[str, bytes], stored: Mapping[str, bytes]) -> Iterator[str]:
    """The store's entities are the fold's, byte for byte; a default that never changed may be missing."""
    for key in sorted(values.keys() | stored.keys()):
        if key in stored and key in values and stored[key] == values[key]:
            continue
        if key not in stored and values[key] == defaults.get(key):
            continue
        yield f"the store has {stored.get(key)!r} at {key}, the fold {values.get(key)!r}"


def _digest(item: tuple[str, bytes]) -> int:
    key, value = item
    return int.from_bytes(blake2b(key.encode() + b"\0" + value[PREFIX_BYTES:], digest_size=16).digest(), "big")


def _rejection(cause: Cause, code: str, message: str) -> Expected:
    data = {
        "event_id": cause.event_id,
        "event_type": cause.event_type,
        "code": code,
        "message": message.encode()[:MESSAGE_BYTES_MAX].decode(errors="ignore"),
        "topic": cause.topic,
        "partition": cause.partition,
        "offset": cause.offset,
    }
    return f"rejected/{cause.event_id}", "processor.changes.EventRejected", data


def _is_omitted(published: Published, part: str) -> bool:
    """Tell whether an announcement leaves a part out and says so."""
    return published.headers.get(f"processor-{part}") == "omitted" and not published.value[part]


def _needless(published: Published, data: Mapping[str, Any], bytes_max: int, reference: Reference) -> Iterator[str]:
    """Yield what an announcement leaves out although the whole would have fitted."""
    if not any(_is_omitted(published, part) for part in ("before", "after", "transitions")):
        return
    key = (published.record.key or b"").decode()
    name = f"{reference.namespace}.changes.{_record_name(key)}Changed"
    whole = reference.schemas.encode(name, {**published.value, **data})
    if len(key) + len(whole) <= bytes_max:
        yield f"{key} leaves something out although it has {len(whole)} bytes of {bytes_max}"


def _is_adopted(published: Published) -> bool:
    whole = not _is_omitted(published, "before")
    return published.value.get("op") == "u" and published.value["before"] is None and whole


def _record_name(key: str) -> str:
    return key.partition("/")[0].capitalize()


def _plain(value: Any) -> Any:
    """Return dicts and lists, as fastavro reads them."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _without_nulls(transition: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in transition.items() if value is not None}
