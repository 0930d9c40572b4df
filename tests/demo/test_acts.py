from typing import Any

import msgspec

from processor.demo.acts import Act, Acts, Sign


class _Change(msgspec.Struct, frozen=True):
    kind: str
    name: str
    transitions: tuple[dict[str, Any], ...]
    op: str = "update"
    before: Any = None
    after: Any = None

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"


def _server(name: str, *types: str) -> _Change:
    return _Change("server", name, tuple({"type": one} for one in types))


ASKED = Sign("it asks", "server", "ServerScaleRequested")
ADDED = Sign("one came", "server", "ServerReplicaAdded")


def test_signs_count_in_their_order_only() -> None:
    acts, said = Acts((Act("scale", (ASKED, ADDED)),)).after([_server("cpu", "ServerReplicaAdded")], 1)
    assert said == []
    acts, said = acts.after([_server("cpu", "ServerScaleRequested", "ServerReplicaAdded")], 2)
    assert said == ["scale: it asks", "scale: one came"]
    assert acts.document() == {"scale": 2}


def test_the_later_signs_have_to_be_of_the_same_entity() -> None:
    acts, _ = Acts((Act("scale", (ASKED, ADDED)),)).after([_server("cpu", "ServerScaleRequested")], 1)
    acts, said = acts.after([_server("gpu", "ServerReplicaAdded")], 2)
    assert (said, list(acts.lines())) == ([], ["· scale: not seen yet"])
    acts, _ = acts.after([_server("cpu", "ServerReplicaAdded")], 3)
    assert list(acts.lines()) == ["✓ scale (seq 3)"]


def test_a_sign_that_comes_several_times_is_told_at_the_last() -> None:
    gone = Sign("gone three times", "server", "ServerReplicaRemoved", "lab", 3)
    acts = Acts((Act("flapping", (gone,)),))
    for seq in (1, 2):
        acts, said = acts.after([_server("lab", "ServerReplicaRemoved"), _server("cpu", "ServerReplicaRemoved")], seq)
        assert said == []
    acts, said = acts.after([_server("lab", "ServerReplicaRemoved")], 3)
    assert (said, acts.document()) == (["flapping: gone three times"], {"flapping": 3})


def test_a_sign_may_ask_more_of_a_transition() -> None:
    broken = Sign("broken", "model", "ModelFailed", holds=lambda transition, _after: transition["reason"] == "broken")
    acts, said = Acts((Act("rollout", (broken,)),)).after(
        [_Change("model", "m", ({"type": "ModelFailed", "reason": "chance"},))], 1
    )
    assert said == []
    _, said = acts.after([_Change("model", "m", ({"type": "ModelFailed", "reason": "broken"},))], 2)
    assert said == ["rollout: broken"]
