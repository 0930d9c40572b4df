"""The acts of the play: stories that a watcher should see by its end, each a few signs in a fixed order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import msgspec

from processor.demo.agents import BROKEN_REASON
from processor.demo.feed import facts_of
from processor.engine.machine import Change


class Sign(msgspec.Struct, frozen=True):
    """A transition of an entity, seen `times` times; `text` is printed at the last one.

    Without a `name`, any entity of the kind matches, and later signs of the act must be of the same one. `holds` checks
    the transition and the entity afterwards (None if it was deleted).
    """

    text: str
    kind: str
    type: str
    name: str = ""
    times: int = 1
    holds: Callable[[Mapping[str, Any], Any], bool] = lambda _transition, _after: True


class Act(msgspec.Struct, frozen=True):
    """A story of signs. `seq` is the commit of the last sign, None before."""

    title: str
    signs: tuple[Sign, ...]
    seen: int = 0
    count: int = 0
    name: str = ""
    seq: int | None = None

    def hear(self, change: Change, seq: int) -> tuple[Self, list[str]]:
        """Return the act after a change, and the lines to print."""
        act, lines = self, list[str]()
        for transition in map(facts_of, change.transitions):
            act, more = act._see(change, transition, seq)
            lines += more
        return act, lines

    def _see(self, change: Change, transition: Mapping[str, Any], seq: int) -> tuple[Self, list[str]]:
        if self.seq is not None:
            return self, []
        sign = self.signs[self.seen]
        if change.kind != sign.kind or change.name != (sign.name or self.name or change.name):
            return self, []
        if transition["type"] != sign.type or not sign.holds(transition, change.after):
            return self, []
        name = self.name if sign.name else change.name
        if self.count + 1 < sign.times:
            return msgspec.structs.replace(self, count=self.count + 1, name=name), []
        ended = self.seen + 1 == len(self.signs)
        act = msgspec.structs.replace(self, seen=self.seen + 1, count=0, name=name, seq=seq if ended else None)
        return act, [f"{self.title}: {sign.text}"]


class Acts(msgspec.Struct, frozen=True):
    """All acts of a play with their progress."""

    acts: tuple[Act, ...] = ()

    def after(self, changes: Iterable[Change], seq: int) -> tuple[Self, list[str]]:
        """Return the acts after the changes of one commit, and the lines to print."""
        acts, lines = list(self.acts), list[str]()
        for change in changes:
            for number, act in enumerate(acts):
                acts[number], more = act.hear(change, seq)
                lines += more
        return msgspec.structs.replace(self, acts=tuple(acts)), lines

    def lines(self) -> Iterator[str]:
        """Yield one line per act: whether it was seen, and in which commit."""
        for act in self.acts:
            yield f"✓ {act.title} (seq {act.seq})" if act.seq is not None else f"· {act.title}: not seen yet"

    def document(self) -> dict[str, int | None]:
        """Return title → seq, None if not seen."""
        return {act.title: act.seq for act in self.acts}


def _is_broken(transition: Mapping[str, Any], _after: Any) -> bool:
    return BROKEN_REASON in transition["reason"]


def _is_empty(_transition: Mapping[str, Any], server: Any) -> bool:
    return all(replica.drained for replica in server.replicas)


ACTS = (
    Act(
        "pipeline triage",
        (Sign("realised by a dataflow engine and a gateway", "pipeline", "PipelineReady", "triage"),),
    ),
    Act("experiment duel", (Sign("its traffic is split", "experiment", "ExperimentActive", "duel"),)),
    Act(
        "rollout of fraud",
        (
            Sign(
                "the new build fails, the old one goes on serving",
                "model",
                "ModelFailed",
                "fraud",
                holds=_is_broken,
            ),
            Sign("rolled back", "model", "ModelAvailable", "fraud"),
        ),
    ),
    Act(
        "retry of speech",
        (
            Sign("it does not load", "failure", "FailureAdded", "model/speech"),
            Sign("a tick of the clock had it tried again", "model", "ModelAvailable", "speech"),
        ),
    ),
    Act(
        "drain of server batch",
        (
            Sign("its replicas are to be emptied", "server", "ServerReplicaDraining", "batch"),
            Sign("it may leave, its models run elsewhere", "server", "ServerReplicaDrained", "batch", holds=_is_empty),
        ),
    ),
    Act(
        "flapping replica lab/0",
        (
            Sign("it has gone three times", "server", "ServerReplicaRemoved", "lab", 3),
            Sign("it is back", "server", "ServerReplicaAdded", "lab"),
        ),
    ),
    Act(
        "scale request",
        (
            Sign("a server asks for replicas", "server", "ServerScaleRequested"),
            Sign("the operator added one", "server", "ServerReplicaAdded"),
        ),
    ),
)
