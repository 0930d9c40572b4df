from collections.abc import Iterable

from processor.demo.notices import Event, Garbage, Notice
from processor.demo.stage import LAG_MAX, Stage

LOAD = {"type": "ReplicaLoadRequested", "version": 1, "server": "cpu", "replica": 0}
VERSIONS = {"versions": [{"version": 1, "spec": {"memory": 1, "instances": 1}}]}


class _Ears:
    """Announces one load, then nothing."""

    def __init__(self) -> None:
        self._waiting = [Notice("model", "iris", VERSIONS, (LOAD,))]

    def notices(self, timeout_s: float) -> Iterable[Notice]:
        del timeout_s
        waiting, self._waiting = self._waiting, []
        return waiting


class _Mouth:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.spoiled: list[str] = []

    def send(self, event: Event, event_id: str) -> None:
        self.said.append((event_id, event.type))

    def send_garbage(self, garbage: Garbage, event_id: str) -> None:
        assert garbage.value
        self.spoiled.append(event_id)


class _Clock:
    """Every look at it is 50 ms later."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> int:
        self.ms += 50
        return self.ms


def _play(*, until_ms: int, reduced_per_look: int = 1000) -> tuple[Stage, _Mouth]:
    sender, clock = _Mouth(), _Clock()
    stage = Stage(_Ears(), sender, now_ms=clock, seed=1)

    def stopping() -> bool:
        stage.tally.reduced = min(stage.tally.sent, stage.tally.reduced + reduced_per_look)
        return clock() > until_ms

    stage.play(stopping)
    return stage, sender


def test_the_actors_answer_what_they_hear() -> None:
    _, sender = _play(until_ms=2000)
    types = [type_name for _, type_name in sender.said]
    assert types[:2] == ["ResponderConnected", "ResponderConnected"]
    assert "ModelReplicaLoading" in types
    assert {"ModelReplicaLoaded", "ModelReplicaLoadFailed"} & set(types)


def test_every_record_has_an_id_of_its_own_and_a_subject() -> None:
    stage, sender = _play(until_ms=3000)
    ids = [event_id for event_id, _ in sender.said] + sender.spoiled
    assert len(ids) == len(set(ids)) == stage.tally.sent
    assert set(stage.subjects) == {event_id for event_id, _ in sender.said}
    assert len(sender.spoiled) == 1


def test_it_waits_while_too_much_is_on_its_way() -> None:
    stage, _ = _play(until_ms=60_000, reduced_per_look=0)
    flood = 1300
    assert LAG_MAX <= stage.tally.lag < LAG_MAX + flood


def test_the_same_seed_plays_the_same() -> None:
    assert _play(until_ms=8000)[1].said == _play(until_ms=8000)[1].said
