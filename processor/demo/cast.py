"""All actors as one pure value: script, operator, fleet, router and responders."""

from random import Random
from typing import Self

import msgspec

from processor.demo.answers import Responder, Router
from processor.demo.fleet import Fleet
from processor.demo.notices import Event, Garbage, Line, Notice
from processor.demo.operations import Action, Cue, Die, Drain, DrainServer, Flap, Operator, improvise, script

IMPROVISE_MS = (150, 450)
OPENING_PAUSE_MS = 500

RESPONDERS = (Responder("dataflow_engine", "engine-0"), Responder("pipeline_gateway", "gateway-0"))


class Cast(msgspec.Struct, frozen=True):
    """All actors; `started_ms` is when the play began, `next_ms` when the operator decides next."""

    started_ms: int
    cues: tuple[Cue, ...]
    operator: Operator
    fleet: Fleet
    router: Router
    responders: tuple[Responder, ...]
    next_ms: int

    @classmethod
    def enter(cls, now_ms: int) -> tuple[Self, list[Line]]:
        """Return the actors at the start, and the events that announce them."""
        generation = now_ms // 1000  # above those of an earlier play on the same cluster
        cues, operator = script(generation)
        fleet, joining = Fleet.of(generation=generation).join()
        first = now_ms + max(cue.at_ms for cue in cues) + OPENING_PAUSE_MS
        cast = cls(now_ms, cues, operator, fleet, Router(), RESPONDERS, first)
        return cast, [*(responder.connected() for responder in RESPONDERS), *joining]

    def hear(self, notice: Notice, now_ms: int, random: Random) -> tuple["Cast", list[Line]]:
        """Pass an announcement to all actors; return the immediate responses."""
        fleet, events = self.fleet.hear(notice, now_ms, random).rescale(notice)
        operator, decided = self.operator.hear(notice)
        cast = msgspec.structs.replace(
            self,
            operator=operator,
            fleet=fleet,
            router=self.router.hear(notice, now_ms, random),
            responders=tuple(responder.hear(notice, now_ms, random) for responder in self.responders),
        )
        return cast, [*events, *decided]

    def act(self, now_ms: int, random: Random) -> tuple["Cast", list[Line]]:
        """Let all actors do what is due."""
        cast, actions = _actions_due(self, now_ms, random)
        lines: list[Line] = []
        for action in actions:
            cast, more = _perform(cast, action, now_ms, random)
            lines += more
        fleet, reports = cast.fleet.act(now_ms, random)
        router, applied = cast.router.act(now_ms)
        answers = [responder.act(now_ms) for responder in cast.responders]
        cast = msgspec.structs.replace(
            cast, fleet=fleet, router=router, responders=tuple(responder for responder, _ in answers)
        )
        return cast, [*lines, *reports, *applied, *(event for _, events in answers for event in events)]


def _actions_due(cast: Cast, now_ms: int, random: Random) -> tuple[Cast, list[Action]]:
    elapsed_ms = now_ms - cast.started_ms
    actions = [action for cue in cast.cues if cue.at_ms <= elapsed_ms for action in cue.actions]
    cues = tuple(cue for cue in cast.cues if cue.at_ms > elapsed_ms)
    if cast.next_ms > now_ms:
        return msgspec.structs.replace(cast, cues=cues), actions
    operator, more = improvise(cast.operator, cast.fleet.expendable(), random)
    next_ms = now_ms + random.randint(*IMPROVISE_MS)
    return msgspec.structs.replace(cast, cues=cues, operator=operator, next_ms=next_ms), [*actions, *more]


def _perform(cast: Cast, action: Action, now_ms: int, random: Random) -> tuple[Cast, list[Line]]:
    match action:
        case Drain(place):
            return cast, list(cast.fleet.drain(place))
        case Die(place):
            fleet, events = cast.fleet.die(place, now_ms, random)
            return msgspec.structs.replace(cast, fleet=fleet), list(events)
        case DrainServer(server):
            fleet, events = cast.fleet.drain_server(server)
            return msgspec.structs.replace(cast, fleet=fleet), list(events)
        case Flap(place):
            fleet, events = cast.fleet.flap(place, now_ms, random)
            return msgspec.structs.replace(cast, fleet=fleet), list(events)
        case Event() | Garbage():
            return cast, [action]
