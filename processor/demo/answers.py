"""Actors that respond to announcements: the router applies routes, responders realise pipelines."""

from collections.abc import Mapping
from random import Random
from typing import Any, Self

import msgspec

from processor.demo.notices import Event, Notice

ROUTE_FAILS_RATIO = 0.03
ANSWER_MS = (10, 80)
PIPELINE_REQUESTS = ("PipelineCreateRequested", "PipelineRebalanceRequested", "PipelineDeleteRequested")


class Answer(msgspec.Struct, frozen=True):
    """An event that is sent at `due_ms`."""

    due_ms: int
    event: Event


class Router(msgspec.Struct, frozen=True):
    """Applies routes of models and experiments; sometimes it fails."""

    answers: tuple[Answer, ...] = ()

    def hear(self, notice: Notice, now_ms: int, random: Random) -> Self:
        """Schedule answers to the routes of an announcement."""
        request = notice.of_type("ModelRoutesChanged", "ExperimentRoutesChanged")
        answers = tuple(
            Answer(now_ms + random.randint(*ANSWER_MS), _route_answer(notice, one, random)) for one in request
        )
        return msgspec.structs.replace(self, answers=self.answers + answers)

    def act(self, now_ms: int) -> tuple[Self, list[Event]]:
        """Send the answers that are due."""
        waiting, events = _due(self.answers, now_ms)
        return msgspec.structs.replace(self, answers=waiting), events


class Responder(msgspec.Struct, frozen=True):
    """One process that realises pipelines, in one role."""

    role: str
    responder: str
    answers: tuple[Answer, ...] = ()

    def connected(self) -> Event:
        """Return the event with which it joins."""
        return Event("ResponderConnected", {"role": self.role, "responder": self.responder})

    def hear(self, notice: Notice, now_ms: int, random: Random) -> Self:
        """Schedule answers to the pipeline requests of its role."""
        request = [one for one in notice.of_type(*PIPELINE_REQUESTS) if one["role"] == self.role]
        answers = tuple(Answer(now_ms + random.randint(*ANSWER_MS), self._report(notice.name, one)) for one in request)
        return msgspec.structs.replace(self, answers=self.answers + answers)

    def act(self, now_ms: int) -> tuple[Self, list[Event]]:
        """Send the answers that are due."""
        waiting, events = _due(self.answers, now_ms)
        return msgspec.structs.replace(self, answers=waiting), events

    def _report(self, pipeline: str, request: Mapping[str, Any]) -> Event:
        return Event(
            "PipelineReported",
            {
                "role": self.role,
                "responder": self.responder,
                "pipeline": pipeline,
                "version": request["version"],
                "sequence": request["sequence"],
                "success": True,
                "reason": "",
            },
        )


def _route_answer(notice: Notice, request: Mapping[str, Any], random: Random) -> Event:
    revision = {"route_revision": request["route_revision"]}
    if request["type"] == "ExperimentRoutesChanged":
        return Event("ExperimentRouteApplied", {"experiment": notice.name, **revision})
    if random.random() < ROUTE_FAILS_RATIO:
        return Event("ModelRouteFailed", {"model": notice.name, **revision, "reason": "the router was reloading"})
    return Event("ModelRouteApplied", {"model": notice.name, **revision})


def _due(answers: tuple[Answer, ...], now_ms: int) -> tuple[tuple[Answer, ...], list[Event]]:
    waiting = tuple(answer for answer in answers if answer.due_ms > now_ms)
    due = sorted((answer for answer in answers if answer.due_ms <= now_ms), key=lambda answer: answer.due_ms)
    return waiting, [answer.event for answer in due]
