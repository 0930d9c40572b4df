from typing import Any

from examples.device_twins.run import STORY, announced


def reading(device: dict[str, Any] | None) -> int | None:
    return None if device is None else int(device["reading"])


def test_the_unmodified_engine_announces_what_changed_of_another_domain() -> None:
    changes = announced(STORY)

    told = [(change["op"], reading(change["before"]), reading(change["after"])) for change in changes]
    assert told == [("c", None, 71), ("c", None, 0), ("u", 71, 74)]
    assert [change["after"]["name"] for change in changes] == ["boiler", "door", "boiler"]
    assert [change["source"]["number"] for change in changes] == [0, 1, 2]
    assert changes[-1]["transitions"] == [{"type": "ReadingChanged", "from": 71}]
