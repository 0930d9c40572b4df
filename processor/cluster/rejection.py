"""The outcome of an event that the state generator refuses."""

from msgspec import Struct


class Rejected(Struct, frozen=True, gc=False):
    """Why an event changed nothing: `code` is for machines, `message` is free text for people."""

    code: str
    message: str
