"""Repairs by hand: an entity changed together with the head, which gets a commit id of its own."""

from base64 import b64encode
from random import Random

import msgspec

from examples.device_twins.machine import Device
from processor.engine.values import Image
from processor.memory.cluster import Shard
from tests.engine.world import JsonCodec
from tests.simulation.process import Stage
from tests.simulation.workload import DEVICES

TELLING = 0.5


class Edit(msgspec.Struct, frozen=True):
    """What was written by hand, at which revision; no image: nothing but the head."""

    revision: int
    image: Image | None


class Hand:
    """Edits the store now and then, and remembers what it did. In half of the runs the head tells of it."""

    def __init__(self, stage: Stage, chance: Random) -> None:
        self.edits: list[Edit] = []
        self._stage = stage
        self._chance = chance
        self.tells = chance.random() < TELLING

    def edit(self) -> bool:
        """Change something; return False while there is no head yet."""
        image = self._image()

        def put(keys: Shard, revision: int) -> None:
            assert keys.head is not None
            head = msgspec.structs.replace(keys.head, commit_id=f"by hand {revision}")
            if image is not None and self.tells:
                stands = keys.snapshot(revision).entities
                before = {key: b64encode(value).decode() for key, value in stands}.get(image.key)
                head = msgspec.structs.replace(head, repaired={image.key: before, **head.repaired})
            keys.put_head(head, revision)
            if image is not None:
                keys.put_entity(image.key, image.value, revision)

        revision = self._stage.cluster.write(0, lambda keys: keys.head is not None, put)
        if revision is None:
            return False
        self.edits.append(Edit(revision, image))
        what = "the head alone" if image is None else f"{image.key} = {image.value!r}"
        self._stage.tell("hand", f"! edits {what} at {revision}")
        return True

    def _image(self) -> Image | None:
        kind, name = self._chance.random(), self._chance.choice((*DEVICES, "made by hand"))
        if kind < 0.2:
            return None
        if kind < 0.4:
            return Image(f"device/{name}", None)
        device = Device(name, self._chance.randint(0, 4), 1, 0)
        return Image(f"device/{name}", JsonCodec().encode("", device))
