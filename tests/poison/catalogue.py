"""Every kind of hostile record, each under a name of its own: what the decoder and the whole service are tried with."""

from typing import Final

from tests.poison.bodies import bodies
from tests.poison.documents import documents
from tests.poison.envelopes import envelopes
from tests.poison.framings import framings
from tests.poison.kinds import Poison

CATALOGUE: Final[tuple[Poison, ...]] = (*framings(), *bodies(), *documents(), *envelopes())
